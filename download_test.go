package ply_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// breakingServer serves content with an entity tag, and breaks off after cut bytes of each body while cut is positive.
type breakingServer struct {
	mu       sync.Mutex
	content  []byte
	tag      string
	modified time.Time
	cut      int
	ranges   []string // the Range of each request
	rewrite  func(w http.ResponseWriter, r *http.Request) bool
}

func (s *breakingServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if s.rewrite != nil && s.rewrite(w, r) {
		return
	}
	if s.tag != "" {
		w.Header().Set("Etag", s.tag)
	}
	if s.cut > 0 {
		w = &cutWriter{w, s.cut}
	}
	http.ServeContent(w, r, "", s.modified, bytes.NewReader(s.content))
}

// answersRanges is a rewrite that answers requests for a range with one part, without a Content-Length.
func answersRanges(tag, contentRange string, content ...[]byte) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		if tag != "" {
			w.Header().Set("Etag", tag)
		}
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(http.StatusPartialContent)
		w.(http.Flusher).Flush()
		for _, b := range content {
			w.Write(b)
		}
		return true
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n, _ := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	if w.left -= n; w.left == 0 {
		w.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

func randomContent(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// downloadFrom starts a server, and returns what downloads from it to path.
func downloadFrom(t *testing.T, h http.Handler, path string) func(...ply.RequestOption) (ply.DownloadResult, error) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	client, err := ply.New(ply.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return func(opts ...ply.RequestOption) (ply.DownloadResult, error) {
		return client.Download(t.Context(), path, server.URL, opts...)
	}
}

// breakingOff starts a server and downloads from it once, which breaks off after 50,000 of 100,000 bytes.
func breakingOff(t *testing.T, tag string) (s *breakingServer, download func(...ply.RequestOption) (ply.DownloadResult, error), path string) {
	t.Helper()
	s = &breakingServer{content: randomContent(100_000), tag: tag, cut: 50_000}
	path = filepath.Join(t.TempDir(), "file")
	download = downloadFrom(t, s, path)
	got, err := download()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.EqualValues(t, 50_000, got.Bytes)
	require.NoFileExists(t, path)
	s.cut = 0
	return s, download, path
}

func assertDownloaded(t *testing.T, s *breakingServer, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(s.content, data), "the content of the file")
	names, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, names, 1, "nothing but the file stays: %v", names)
}

func TestDownloadGoesOnWhereItBrokeOff(t *testing.T) {
	s, download, path := breakingOff(t, `"a"`)
	var progress []int64
	got, err := download(ply.DownloadProgress(func(received, total int64) {
		progress = append(progress, received)
		assert.EqualValues(t, 100_000, total)
	}))
	require.NoError(t, err)
	assert.EqualValues(t, 100_000, got.Bytes)
	assert.EqualValues(t, 50_000, got.Resumed)
	assert.Equal(t, []string{"", "bytes=45904-"}, s.ranges)
	assert.Greater(t, progress[0], int64(45_904), "progress counts from the start of the file")
	assert.EqualValues(t, 100_000, progress[len(progress)-1])
	assertDownloaded(t, s, path)
}

func TestDownloadThatWasCompleteButForItsNameRequestsItsEndAlone(t *testing.T) {
	s, download, path := breakingOff(t, `"a"`)
	part, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".ply-*.part"))
	require.NoError(t, err)
	require.Len(t, part, 1)
	require.NoError(t, os.WriteFile(part[0], s.content, 0o600))
	_, err = download()
	require.NoError(t, err)
	assert.Equal(t, "bytes=95904-", s.ranges[1])
	assertDownloaded(t, s, path)
}

func TestDownloadBeginsAnewWhereThePartIsOfNoUse(t *testing.T) {
	for _, c := range []struct {
		name   string
		tag    string
		change func(t *testing.T, s *breakingServer, dir string)
		ranges []string
	}{
		{"the content has changed, with its tag", `"a"`, func(_ *testing.T, s *breakingServer, _ string) {
			s.content, s.tag = append([]byte("new"), s.content...), `"b"`
		}, []string{"", "bytes=45904-"}},
		{"the content has changed and the tag has not", `"a"`, func(_ *testing.T, s *breakingServer, _ string) {
			s.content = append([]byte("new"), s.content[3:]...)
			s.content[49_000]++
		}, []string{"", "bytes=45904-", ""}},
		{"the tag is weak", `W/"a"`, func(*testing.T, *breakingServer, string) {}, []string{"", ""}},
		{"no validator", "", func(*testing.T, *breakingServer, string) {}, []string{"", ""}},
		{"the content is shorter now, at a server without If-Range", `"a"`, func(_ *testing.T, s *breakingServer, _ string) {
			s.content = s.content[:1000]
			s.rewrite = func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("If-Range"); return false }
		}, []string{"", "bytes=45904-", ""}},
		{"another length, at a server without If-Range", `"a"`, func(_ *testing.T, s *breakingServer, _ string) {
			s.content = append(s.content, 1)
			s.rewrite = func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("If-Range"); return false }
		}, []string{"", "bytes=45904-", ""}},
		{"the server sends another range", `"a"`, func(_ *testing.T, s *breakingServer, _ string) {
			s.rewrite = answersRanges(s.tag, "bytes 45905-99999/100000")
		}, []string{"", "bytes=45904-", ""}},
		{"the content has changed, at a server without If-Range, and without a tag in its parts", `"a"`, func(_ *testing.T, s *breakingServer, _ string) {
			s.content[0]++
			s.rewrite = answersRanges("", "bytes 45904-99999/100000", s.content[45_904:])
		}, []string{"", "bytes=45904-", ""}},
		{"the server sends more than the whole has", `"a"`, func(_ *testing.T, s *breakingServer, _ string) {
			s.rewrite = answersRanges(s.tag, "bytes 45904-99999/100000", s.content[45_904:], s.content)
		}, []string{"", "bytes=45904-", ""}},
		{"the last blocks of the part are empty", `"a"`, func(t *testing.T, _ *breakingServer, dir string) {
			part, err := filepath.Glob(filepath.Join(dir, ".ply-*.part"))
			require.NoError(t, err)
			f, err := os.OpenFile(part[0], os.O_RDWR, 0)
			require.NoError(t, err)
			defer f.Close()
			_, err = f.WriteAt(make([]byte, 1000), 49_000)
			require.NoError(t, err)
		}, []string{"", "bytes=45904-", ""}},
		{"the state is damaged", `"a"`, func(t *testing.T, _ *breakingServer, dir string) {
			part, err := filepath.Glob(filepath.Join(dir, ".ply-*.part"))
			require.NoError(t, err)
			require.NoError(t, os.Remove(part[0]))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "file.download"), []byte("{"), 0o600))
		}, []string{"", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, download, path := breakingOff(t, c.tag)
			c.change(t, s, filepath.Dir(path))
			got, err := download()
			require.NoError(t, err)
			assert.Zero(t, got.Resumed)
			assert.EqualValues(t, len(s.content), got.Bytes)
			assert.Equal(t, c.ranges, s.ranges)
			assertDownloaded(t, s, path)
		})
	}
}

func TestDownloadKeepsThePartWhenTheServerFails(t *testing.T) {
	s, download, path := breakingOff(t, `"a"`)
	s.rewrite = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	_, err := download()
	require.True(t, ply.StatusIs(err, http.StatusServiceUnavailable), err)
	s.rewrite = nil
	got, err := download()
	require.NoError(t, err)
	assert.EqualValues(t, 50_000, got.Resumed)
	assertDownloaded(t, s, path)
}

func TestDownloadOfAnotherURLToThePathDropsThePart(t *testing.T) {
	s, download, path := breakingOff(t, `"a"`)
	got, err := downloadFrom(t, s, path)()
	require.NoError(t, err)
	assert.Zero(t, got.Resumed)
	assertDownloaded(t, s, path)
	_ = download
}

// What options add to the URL tells it from another one: servers count their entity tags for each resource.
func TestDownloadTellsURLsApartThatOptionsMake(t *testing.T) {
	for name, options := range map[string]func(id string) (url string, defaults, own []ply.RequestOption){
		"path": func(id string) (string, []ply.RequestOption, []ply.RequestOption) {
			return "/{id}", nil, []ply.RequestOption{ply.PathValue("id", id)}
		},
		"query": func(id string) (string, []ply.RequestOption, []ply.RequestOption) {
			return "/", nil, []ply.RequestOption{ply.Query("id", id)}
		},
		"default parameter": func(id string) (string, []ply.RequestOption, []ply.RequestOption) {
			return "/", []ply.RequestOption{ply.Query("id", id)}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &breakingServer{content: randomContent(100_000), tag: `"1"`, cut: 50_000}
			server := httptest.NewServer(s)
			defer server.Close()
			path := filepath.Join(t.TempDir(), "file")
			download := func(id string) (ply.DownloadResult, error) {
				url, defaults, own := options(id)
				client, err := ply.New(ply.Options{BaseURL: server.URL, Defaults: defaults})
				require.NoError(t, err)
				defer client.Close()
				return client.Download(t.Context(), path, url, own...)
			}
			_, err := download("1")
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			_, err = download("1")
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			s.cut = 0
			s.content[0]++ // the other resource has another beginning
			_, err = download("2")
			require.NoError(t, err)
			assert.Equal(t, []string{"", "bytes=45904-", ""}, s.ranges)
			assertDownloaded(t, s, path)
		})
	}
}

// Edit sees the request as it is sent, to sign it.
func TestEditSeesTheRangeOfADownload(t *testing.T) {
	_, download, _ := breakingOff(t, `"a"`)
	var seen string
	_, err := download(ply.Edit(func(r *http.Request) error { seen = r.Header.Get("Range"); return nil }))
	require.NoError(t, err)
	assert.Equal(t, "bytes=45904-", seen)
}

// A server that knows Range but no If-Range sends the rest of what has replaced the content.
func TestDownloadBeginsAnewWhereTheDateHasChanged(t *testing.T) {
	s := &breakingServer{content: randomContent(100_000), modified: time.Unix(1e9, 0), cut: 50_000}
	s.rewrite = func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("If-Range"); return false }
	path := filepath.Join(t.TempDir(), "file")
	download := downloadFrom(t, s, path)
	_, err := download()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	s.cut = 0
	s.content[0]++
	s.modified = s.modified.Add(time.Hour)
	got, err := download()
	require.NoError(t, err)
	assert.Zero(t, got.Resumed)
	assert.Equal(t, []string{"", "bytes=45904-", ""}, s.ranges)
	assertDownloaded(t, s, path)
}

// The limit is one of the file, in however many pieces it comes, and of one that is too large nothing stays.
func TestDownloadHoldsTheLimitOfTheWholeFile(t *testing.T) {
	noLength := func(s *breakingServer) {
		s.rewrite = answersRanges(s.tag, "bytes 45904-99999/100000", s.content[45_904:])
	}
	for name, c := range map[string]struct {
		change func(*breakingServer)
		limit  int64
	}{
		"the rest is small enough":        {func(*breakingServer) {}, 60_000},
		"the rest comes without a length": {noLength, 60_000},
		"the part is too large":           {func(*breakingServer) {}, 40_000},
	} {
		t.Run(name, func(t *testing.T) {
			s, download, path := breakingOff(t, `"a"`)
			c.change(s)
			_, err := download(ply.MaxResponseBody(c.limit))
			var tooLarge *ply.BodyLimitError
			require.ErrorAs(t, err, &tooLarge)
			names, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			assert.Empty(t, names)
			s.rewrite = nil
			_, err = download(ply.MaxResponseBody(100_000))
			require.NoError(t, err)
			assertDownloaded(t, s, path)
		})
	}
}

// The state is a file that others may have written: it must not lead out of the directory.
func TestDownloadUsesAndRemovesNothingThatIsNotAPart(t *testing.T) {
	s, download, path := breakingOff(t, `"a"`)
	dir := filepath.Dir(path)
	victim := filepath.Join(dir, "victim")
	require.NoError(t, os.WriteFile(victim, s.content[:60_000], 0o600))
	state, err := os.ReadFile(path + ".download")
	require.NoError(t, err)
	part, err := filepath.Glob(filepath.Join(dir, ".ply-*.part"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".download", []byte(strings.Replace(string(state), filepath.Base(part[0]), "../"+filepath.Base(dir)+"/victim", 1)), 0o600))
	got, err := download()
	require.NoError(t, err)
	assert.Zero(t, got.Resumed)
	assert.FileExists(t, victim)
}

func TestDownloadLeavesAFileAloneThatHasTheNameOfItsState(t *testing.T) {
	for _, content := range []string{"precious", `{"a":1}`, `{"URL":"x"}`, `{"URL":"` + strings.Repeat("x", 1<<20)} {
		t.Run(content[:min(len(content), 20)], func(t *testing.T) {
			s, download, path := breakingOff(t, "")
			s.tag = `"a"`
			require.NoError(t, os.WriteFile(path+".download", []byte(content), 0o600))
			s.cut = 50_000
			_, err := download()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			s.cut = 0
			got, err := download()
			require.NoError(t, err)
			assert.Zero(t, got.Resumed)
			left, err := os.ReadFile(path + ".download")
			require.NoError(t, err)
			assert.Equal(t, content, string(left))
			require.NoError(t, os.Remove(path+".download"))
			assertDownloaded(t, s, path)
		})
	}
}

// A state with a name that is too long for the file system costs the continuation, not the download.
func TestDownloadIntoAFileWithALongName(t *testing.T) {
	s := &breakingServer{content: randomContent(100), tag: `"a"`}
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 250))
	download := downloadFrom(t, s, path)
	_, err := download()
	require.NoError(t, err)
	assertDownloaded(t, s, path)
}

// A server may send less than the rest. Where the first response had no length, Content-Range says whether the whole has come.
func TestDownloadIsNotCompleteWithTheEndOfAShortPart(t *testing.T) {
	for _, c := range []struct {
		complete string // in Content-Range
		ranges   []string
	}{
		{"100000", []string{"", "bytes=45904-", "bytes=55904-"}},
		{"*", []string{"", "bytes=45904-", ""}}, // the part is of no use: its end could not be told
	} {
		t.Run(c.complete, func(t *testing.T) {
			s := &breakingServer{content: randomContent(100_000), tag: `"a"`}
			s.rewrite = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Etag", s.tag)
				switch n := len(s.ranges); {
				case n == 1:
					w.Write(s.content[:50_000])
					w.(http.Flusher).Flush() // with no Content-Length
					panic(http.ErrAbortHandler)
				case n == 2:
					w.Header().Set("Content-Range", "bytes 45904-59999/"+c.complete)
					w.WriteHeader(http.StatusPartialContent)
					w.Write(s.content[45_904:60_000])
					return true
				}
				return false
			}
			path := filepath.Join(t.TempDir(), "file")
			download := downloadFrom(t, s, path)
			var err error
			for len(s.ranges) < len(c.ranges) {
				require.NoFileExists(t, path)
				_, err = download()
			}
			require.NoError(t, err)
			assert.Equal(t, c.ranges, s.ranges)
			assertDownloaded(t, s, path)
		})
	}
}

func TestDownloadReturnsTheResponseOfAStatusError(t *testing.T) {
	got, err := downloadFrom(t, http.NotFoundHandler(), filepath.Join(t.TempDir(), "file"))()
	require.True(t, ply.StatusIs(err, http.StatusNotFound), err)
	require.NotNil(t, got.Response)
	assert.Equal(t, http.StatusNotFound, got.Response.StatusCode)
}

func TestTwoDownloadsOfOnePartAtATimeBothSucceed(t *testing.T) {
	s, download, path := breakingOff(t, `"a"`)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = download() })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(s.content, data))
}

// Of Downloads that break off at the same time one part stays, which the next one finds.
func TestDownloadsThatBreakOffTogetherLeaveOnePart(t *testing.T) {
	content, begun := randomContent(100_000), make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"a"`)
		select {
		case <-begun:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		default:
			w.Write(content[:50_000])
			w.(http.Flusher).Flush()
			<-begun
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{})
	require.NoError(t, err)
	defer client.Close()
	path := filepath.Join(t.TempDir(), "file")
	var downloads sync.WaitGroup
	for range 3 {
		downloads.Go(func() {
			var once sync.Once
			_, err := client.Download(t.Context(), path, server.URL, ply.DownloadProgress(func(int64, int64) { once.Do(waiting.Done) }))
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	}
	waiting.Wait()
	close(begun)
	downloads.Wait()
	names, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, names, 2, "a part and its state: %v", names)
	got, err := client.Download(t.Context(), path, server.URL)
	require.NoError(t, err)
	assert.EqualValues(t, 50_000, got.Resumed)
	assertDownloaded(t, &breakingServer{content: content}, path)
}

func ExampleClient_Download() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("an image"))
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	client, err := ply.New(ply.Options{})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	got, err := client.Download(context.Background(), filepath.Join(dir, "image.iso"), server.URL+"/image.iso")
	fmt.Println(got.Bytes, got.Resumed, err)
	// Output: 8 0 <nil>
}
