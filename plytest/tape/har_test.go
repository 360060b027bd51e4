package tape_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
)

var morning = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func archived(t testing.TB, tp *tape.Tape, o har.Options) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, tp.WriteHAR(&out, o))
	return out.Bytes()
}

func fromHAR(t testing.TB, archive []byte) *tape.Tape {
	t.Helper()
	tp, err := tape.FromHAR(bytes.NewReader(archive))
	require.NoError(t, err)
	return tp
}

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

// session is a tape with one exchange of each kind that an archive keeps as it is.
func session() *tape.Tape {
	get := func(path string) tape.Request {
		return tape.Request{Method: "GET", URL: "https://shop.example" + path, Header: http.Header{"Accept": {"*/*"}}}
	}
	return &tape.Tape{Start: morning, Exchanges: []*tape.Exchange{
		{At: time.Millisecond, Request: get("/stream"), Response: &tape.Response{
			Status: 200, Proto: "HTTP/2.0", Header: http.Header{"Content-Type": {"text/event-stream"}, "Set-Cookie": {"a=1; Path=/", "b=2"}}, Trailer: http.Header{"X-Sum": {"7"}}, Wait: 1234567, Length: -1,
			Chunks: []tape.Chunk{{At: 0, Data: []byte("data: 1\n\n")}, {At: time.Second + 1, Data: []byte("data: 2\n\n")}},
		}},
		{At: 2 * time.Millisecond, Request: tape.Request{
			Method: "POST", URL: "https://shop.example/cart?a=1&b", Host: "virtual.example", Header: http.Header{"Content-Type": {"application/octet-stream"}, "Cookie": {"s=1; t=2"}}, Body: []byte{0xff, 0}, Trailer: http.Header{"X-End": {"1"}},
		}, Response: &tape.Response{Status: 500, Proto: "HTTP/1.1", Header: http.Header{"Content-Length": {"4"}}, Length: 4, Wait: time.Millisecond, Chunks: []tape.Chunk{{At: 5, Data: []byte("\xff\xfe\x00a")}}}},
		{At: 3 * time.Millisecond, Request: get("/cut"), Failure: &tape.Failure{At: 7 * time.Second, Kind: tape.FailureReset, Text: "read tcp: connection reset by peer"}, Response: &tape.Response{
			Status: 200, Proto: "HTTP/1.1", Header: http.Header{"Content-Length": {"100"}}, Length: 100, Chunks: []tape.Chunk{{At: time.Second, Data: []byte("the beginning")}},
		}},
		{At: 3 * time.Millisecond, Request: get("/none"), Failure: &tape.Failure{At: 30 * time.Second, Kind: tape.FailureDeadline, Text: "context deadline exceeded"}},
		{At: 4 * time.Millisecond, Request: tape.Request{Method: "HEAD", URL: "https://shop.example/film", Header: http.Header{}}, Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Header: http.Header{"Content-Length": {"4000"}}, Length: 4000}},
		{At: 5 * time.Millisecond, Request: get("/304"), Response: &tape.Response{Status: 304, Proto: "HTTP/1.1", Header: http.Header{"Etag": {`"v"`}, "Content-Encoding": {"gzip"}}, Length: -1}},
		{At: 6 * time.Millisecond, Request: get("/decoded"), Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Header: http.Header{}, Length: -1, Uncompressed: true, Chunks: []tape.Chunk{{At: 1, Data: []byte("decoded ")}, {At: 2, Data: []byte("on the way")}}}},
		{At: 7 * time.Millisecond, Request: get("/zstd"), Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Header: http.Header{"Content-Encoding": {"zstd"}, "Content-Length": {"4"}}, Length: 4, Chunks: []tape.Chunk{{Data: []byte("\x28\xb5\x2f\xfd")}}}},
		{At: 8 * time.Millisecond, Request: get("/latin1"), Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Header: http.Header{"Content-Type": {"text/plain; charset=iso-8859-1"}}, Length: -1, Chunks: []tape.Chunk{{Data: []byte("Ã¤")}}}},
		{At: 9 * time.Millisecond, Request: get("/empty"), Response: &tape.Response{Status: 204, Proto: "HTTP/1.1", Header: http.Header{}, Length: -1}},
	}}
}

func TestArchiveKeepsWhatATapeHas(t *testing.T) {
	have := fromHAR(t, archived(t, session(), har.Options{KeepSecrets: true}))
	if diff := cmp.Diff(session(), have, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestContentWithGzipIsDecodedInTheArchive(t *testing.T) {
	coded := zipped("in the clear")
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h/"}, Response: &tape.Response{
		Status: 200, Header: http.Header{"Content-Encoding": {"gzip"}, "Content-Length": {"36"}}, Length: int64(len(coded)), Chunks: []tape.Chunk{{At: 1, Data: coded[:5]}, {At: 2, Data: coded[5:]}},
	}}}}
	archive := archived(t, tp, har.Options{})
	require.NotContains(t, string(archive), "Chunks", "the lengths of coded chunks")
	for entry, err := range har.Entries(bytes.NewReader(archive)) {
		require.NoError(t, err)
		if c := entry.Response.Content; *c.Text != "in the clear" || c.Encoding != "" || c.Size != 12 || entry.Response.BodySize != int64(len(coded)) || c.Compression != int64(12-len(coded)) {
			t.Errorf("%+v, size of the body %d", c, entry.Response.BodySize)
		}
	}
	want := &tape.Tape{Start: time.Unix(0, 0).UTC(), Exchanges: []*tape.Exchange{{Request: tape.Request{Method: "GET", URL: "http://h/"}, Response: &tape.Response{
		Status: 200, Proto: "HTTP/1.1", Length: -1, Uncompressed: true, Chunks: []tape.Chunk{{At: 2, Data: []byte("in the clear")}},
	}}}}
	if diff := cmp.Diff(want, fromHAR(t, archive), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestArchiveOfATapeHidesSecrets(t *testing.T) {
	const canary = "c4n4ry"
	tp := &tape.Tape{Start: morning, Exchanges: []*tape.Exchange{{
		Request:  tape.Request{Method: "POST", URL: "https://u:" + canary + "@h.example/?token=" + canary, Header: http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"s=" + canary}}, Body: []byte("password=" + canary), Trailer: http.Header{"Authorization": {canary}}},
		Response: &tape.Response{Status: 302, Header: http.Header{"Set-Cookie": {"s=" + canary + "; Path=/"}, "Location": {"https://h.example/?code=" + canary}}, Trailer: http.Header{"Set-Cookie": {"s=" + canary}}},
		Failure:  &tape.Failure{Kind: tape.FailureEOF, Text: `Get "https://h.example/?token=` + canary + `": EOF`},
	}}}
	if archive := archived(t, tp, har.Options{}); bytes.Contains(archive, []byte(canary)) {
		t.Errorf("%s", archive)
	}
	if archive := archived(t, tp, har.Options{KeepSecrets: true}); bytes.Count(archive, []byte(canary)) < 10 {
		t.Errorf("with KeepSecrets: %s", archive)
	}
}

func fixture(t *testing.T, name string) *tape.Tape {
	t.Helper()
	archive, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return fromHAR(t, archive)
}

// shorthand of an exchange: the times, what was asked, and what came.
type line struct {
	At, Wait, Received time.Duration
	Asked              string
	Sent               string
	Status             int
	Proto              string
	Header             http.Header
	Length             int64
	Body               string
	Uncompressed       bool
	Failure            *tape.Failure
}

func lines(tp *tape.Tape) (all []line) {
	for _, e := range tp.Exchanges {
		l := line{At: e.At, Asked: e.Request.Method + " " + e.Request.URL, Sent: string(e.Request.Body), Failure: e.Failure}
		if r := e.Response; r != nil {
			l.Wait, l.Status, l.Proto, l.Header, l.Length, l.Body, l.Uncompressed = r.Wait, r.Status, r.Proto, r.Header, r.Length, string(r.Body()), r.Uncompressed
			if n := len(r.Chunks); n > 0 {
				l.Received = r.Chunks[n-1].At
			}
		}
		all = append(all, l)
	}
	return all
}

const ms = time.Millisecond

func TestArchiveOfChromiumBecomesATape(t *testing.T) {
	tp := fixture(t, "chromium.har")
	want := []line{
		{Wait: 60 * ms, Received: 3500 * time.Microsecond, Asked: "GET https://shop.example/", Status: 200, Proto: "HTTP/2.0", Uncompressed: true, Length: -1, Body: "Grüße!",
			Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}, "Set-Cookie": {"a=1", "b=2"}}},
		{At: 50 * ms, Wait: 5 * ms, Asked: "POST https://shop.example/cart", Sent: `{"id": 7}`, Status: 303, Proto: "HTTP/2.0", Length: -1, Header: http.Header{"Location": {"/cart/7"}}},
		{At: 90 * ms, Wait: 4 * ms, Received: ms, Asked: "GET https://shop.example/dot.gif", Status: 200, Proto: "HTTP/2.0", Length: 6, Body: "GIF89a", Header: http.Header{"Content-Type": {"image/gif"}, "Content-Length": {"6"}}},
		{At: 100 * ms, Asked: "GET http://gone.example/a.js", Failure: &tape.Failure{At: 12 * ms, Kind: tape.FailureDNS, Text: "net::ERR_NAME_NOT_RESOLVED"}},
		{At: 110 * ms, Wait: 2 * ms, Asked: "GET https://shop.example/film", Status: 200, Proto: "HTTP/1.1", Length: 4000000, Header: http.Header{"Content-Length": {"4000000"}, "Connection": {"keep-alive"}},
			Failure: &tape.Failure{At: 3 * ms, Kind: tape.FailureClosed, Text: har.ErrNoText.Error()}},
		{At: 120 * ms, Wait: 2 * ms, Received: 3 * ms, Asked: "GET https://shop.example/feed", Status: 200, Proto: "HTTP/1.1", Length: -1, Body: "half",
			Failure: &tape.Failure{At: 3 * ms, Kind: tape.FailureEOF, Text: "net::ERR_INCOMPLETE_CHUNKED_ENCODING"}},
	}
	if diff := cmp.Diff(want, lines(tp), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	require.Equal(t, morning.Add(10*ms), tp.Start)
	require.Equal(t, http.Header{"Accept": {"text/html"}, "Accept-Encoding": {"gzip, deflate, br, zstd"}}, tp.Exchanges[0].Request.Header)
	require.Empty(t, tp.Exchanges[4].Request.Host)
}

func TestArchiveOfFirefoxBecomesATape(t *testing.T) {
	want := []line{
		{Wait: 23 * ms, Received: ms, Asked: "GET https://shop.example/", Status: 200, Proto: "HTTP/2.0", Uncompressed: true, Length: -1, Body: "<p>Hi</p>", Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}},
		{At: 40 * ms, Wait: 7 * ms, Asked: "POST https://shop.example/login", Sent: "user=ada&x=1", Status: 204, Proto: "HTTP/2.0", Length: -1},
		{At: 50 * ms, Wait: 4 * ms, Asked: "GET https://shop.example/app.css", Status: 304, Proto: "HTTP/2.0", Length: 33, Header: http.Header{"Etag": {`"v1"`}, "Content-Encoding": {"gzip"}, "Content-Length": {"33"}}},
		{At: 60 * ms, Asked: "GET https://tracker.example/pixel", Failure: &tape.Failure{At: 3 * ms, Kind: tape.FailureOther, Text: "the archive has no response"}},
	}
	if diff := cmp.Diff(want, lines(fixture(t, "firefox.har")), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsOfABrowserBecomeKindsOfFailures(t *testing.T) {
	for text, want := range map[string]tape.FailureKind{
		"net::ERR_CONNECTION_REFUSED": tape.FailureRefused, "net::ERR_CONNECTION_RESET": tape.FailureReset, "net::ERR_CONNECTION_TIMED_OUT": tape.FailureTimeout, "net::ERR_CERT_DATE_INVALID": tape.FailureTLS,
		"net::ERR_EMPTY_RESPONSE": tape.FailureEOF, "net::ERR_ABORTED": tape.FailureCanceled, "net::ERR_BLOCKED_BY_CLIENT": tape.FailureOther, "NS_ERROR_UNKNOWN_HOST": tape.FailureDNS, "NS_ERROR_NET_TIMEOUT": tape.FailureTimeout,
	} {
		tp := fromHAR(t, []byte(`{"log": {"entries": [{"startedDateTime": "2026-03-02T09:00:00Z", "request": {"method": "GET", "url": "http://h/"}, "response": {"status": 0, "_error": "`+text+`"}}]}}`))
		if f := tp.Exchanges[0].Failure; f == nil || f.Kind != want || f.Text != text {
			t.Errorf("%s: %+v, want %s", text, f, want)
		}
		tp = fromHAR(t, []byte(`{"log": {"entries": [{"startedDateTime": "2026-03-02T09:00:00Z", "request": {"method": "GET", "url": "http://h/"}, "response": {"status": -1, "content": {"size": -1}, "_failureText": "`+text+`"}}]}}`))
		if e := tp.Exchanges[0]; e.Response != nil || e.Failure == nil || e.Failure.Kind != want || e.Failure.Text != text {
			t.Errorf("by Playwright: %s: %+v, want %s", text, e.Failure, want)
		}
	}
}

func TestEntryWithoutATimeBeganWithTheOneBefore(t *testing.T) {
	const entry = `{"request": {"url": "http://h/"}, "response": {"status": 204}`
	tp := fromHAR(t, []byte(`{"log": {"entries": [`+entry+`}, `+entry+`, "startedDateTime": "2026-03-02T09:00:01Z"}, `+entry+`, "startedDateTime": "2026-03-02T09:00:00Z"}, `+entry+`}]}}`))
	var at []time.Duration
	for _, e := range tp.Exchanges {
		at = append(at, e.At)
	}
	require.Equal(t, []time.Duration{0, 0, time.Second, time.Second}, at)
	require.Equal(t, morning, tp.Start)
}

func TestTimesOfAnArchiveAreBounded(t *testing.T) {
	const days = 10 * 24 * time.Hour
	r := fromHAR(t, []byte(`{"log": {"entries": [{"timings": {"blocked": 8e8, "send": -5, "wait": 8e8, "receive": 1e300}, "request": {"url": "http://h/"}, "response": {"status": 200, "content": {"size": 1, "text": "a"}}}]}}`)).Exchanges[0].Response
	require.Equal(t, days, r.Wait)
	require.Equal(t, days, r.Chunks[0].At)
}

func TestArchiveThatMakesNoTapeIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		archive string
		text    string
	}{
		"no archive":         {`{}`, "no HTTP Archive"},
		"no URL":             {`{"log": {"entries": [{}, {"request": {"url": "http://%zz/"}}]}}`, "entry 1"},
		"no method":          {`{"log": {"entries": [{"request": {"url": "http://h/", "method": "a b"}}]}}`, "entry 0"},
		"content in no text": {`{"log": {"entries": [{"request": {"url": "http://h/"}, "response": {"status": 200, "content": {"text": "!", "encoding": "base64"}}}]}}`, "entry 0"},
		"a status of none":   {`{"log": {"entries": [{"request": {"url": "http://h/"}, "response": {"status": 1000}}]}}`, "1000"},
	} {
		if tp, err := tape.FromHAR(strings.NewReader(c.archive)); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v (%v)", name, err, tp)
		}
	}
	if _, err := tape.FromHAR(strings.NewReader(`[]`)); !errors.Is(err, har.ErrNoArchive) {
		t.Error(err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrPermission }

func TestWriteHARReturnsTheErrorOfItsWriter(t *testing.T) {
	require.ErrorIs(t, session().WriteHAR(fullDisk{}, har.Options{}), os.ErrPermission)
	require.ErrorIs(t, (&tape.Tape{}).WriteHAR(fullDisk{}, har.Options{}), os.ErrPermission)
}

// What a foreign archive says is kept when it is written and read again, whatever it is.
func FuzzTapeOfAnArchiveKeepsItsMeaning(f *testing.F) {
	for _, name := range []string{"chromium.har", "firefox.har"} {
		archive, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(archive)
	}
	f.Add(archived(f, session(), har.Options{KeepSecrets: true}))
	f.Add(archived(f, session(), har.Options{OmitBodies: true}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		first, err := tape.FromHAR(bytes.NewReader(archive))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if first.WriteHAR(&out, har.Options{KeepSecrets: true}) != nil {
			return // a year that RFC 3339 does not have
		}
		if first.Start.IsZero() && len(first.Exchanges) > 0 {
			first.Start = time.Unix(0, 0).UTC()
		}
		if diff := cmp.Diff(first, fromHAR(t, out.Bytes()), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReasonPhraseStaysInAnArchive(t *testing.T) {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 299, Reason: "Own Words", Length: -1}}}}
	var archive bytes.Buffer
	require.NoError(t, tp.WriteHAR(&archive, har.Options{}))
	require.Contains(t, archive.String(), `"statusText":"Own Words"`)
	have, err := tape.FromHAR(&archive)
	require.NoError(t, err)
	require.Equal(t, "Own Words", have.Exchanges[0].Response.Reason)
}

func TestArchiveHasNoSecretsInContentOfResponses(t *testing.T) {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{
		Status: 200, Header: http.Header{"Content-Type": {"application/vnd.api+json"}}, Length: -1, Chunks: []tape.Chunk{{Data: []byte(`{"access_token":"` + canary + `"}`)}},
	}}}}
	for _, keep := range []bool{false, true} {
		var archive strings.Builder
		require.NoError(t, tp.WriteHAR(&archive, har.Options{KeepSecrets: keep}))
		require.Equal(t, keep, strings.Contains(archive.String(), canary))
	}
}
