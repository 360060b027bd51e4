package sqlite_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	filestore "github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/sqlite"
)

// selfVerifying is a body that says what it must be: up to some hundred KiB, so that some are in pieces.
func selfVerifying(path string) string {
	sum := sha256.Sum256([]byte(path))
	return path + "\n" + strings.Repeat(hex.EncodeToString(sum[:]), int(sum[0])*int(sum[1])/8)
}

type inMemory func(*http.Request) string

func (o inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	body := o(r)
	h := http.Header{"Cache-Control": {"max-age=100000"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}, "Vary": {"Accept-Language, X-Token"}}
	return &http.Response{StatusCode: 200, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
}

// What is in memory goes into files, from there into a database, from there by way of a stream into another database, and is answered there as at first.
func TestEntriesMoveFromFilesToSQLiteAndOn(t *testing.T) {
	const n = 200
	files, err := filestore.Open(filepath.Join(t.TempDir(), "files"), filestore.Options{})
	require.NoError(t, err)
	defer files.Close()
	first := open(t, filepath.Join(t.TempDir(), "a.db"), sqlite.Options{})
	second := open(t, filepath.Join(t.TempDir(), "b.db"), sqlite.Options{})
	made := func(o cache.Options) *cache.Cache {
		o.StoreTimeout = 30 * time.Second
		c, err := cache.New(o)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c *cache.Cache, origin http.RoundTripper, i int) (string, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://h/"+strconv.Itoa(i), nil)
		require.NoError(t, err)
		r.Header = http.Header{"Accept-Language": {"de"}, "X-Token": {"secret"}}
		resp, err := c.Middleware(origin).RoundTrip(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		status, _ := cache.StatusOf(resp)
		return string(body), status.Outcome()
	}
	memory := made(cache.Options{})
	for i := range n {
		ask(memory, inMemory(func(r *http.Request) string { return selfVerifying(r.URL.Path) }), i)
	}
	inFiles, inFirst, inSecond := made(cache.Options{Store: files}), made(cache.Options{Store: first}), made(cache.Options{Store: second})
	report, err := cache.Copy(t.Context(), inFiles, memory)
	require.NoError(t, err)
	require.Equal(t, n, report.Entries, "into files: %+v", report)
	report, err = cache.Copy(t.Context(), inFirst, inFiles)
	require.NoError(t, err)
	require.Equal(t, n, report.Entries, "into a database: %+v", report)
	var stream bytes.Buffer
	_, err = inFirst.Export(t.Context(), &stream)
	require.NoError(t, err)
	report, err = inSecond.Import(t.Context(), &stream)
	require.NoError(t, err)
	require.Equal(t, n, report.Entries, "into another database: %+v", report)
	for i := range n {
		body, outcome := ask(inSecond, inMemory(func(*http.Request) string { return "of the origin" }), i)
		if body != selfVerifying("/"+strconv.Itoa(i)) || outcome != "hit" {
			t.Fatalf("%d: %s, %.40q", i, outcome, body)
		}
	}
	verified, err := inSecond.Verify(t.Context(), cache.VerifyOptions{})
	require.NoError(t, err)
	if !verified.Sound() || verified.Entries != n || verified.Orphaned != 0 {
		t.Errorf("%+v", verified)
	}
}
