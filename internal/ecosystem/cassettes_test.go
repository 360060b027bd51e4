package ecosystem

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	vcr1 "github.com/dnaeon/go-vcr/recorder"
	vcr3 "gopkg.in/dnaeon/go-vcr.v3/recorder"
	vcr4 "gopkg.in/dnaeon/go-vcr.v4/pkg/recorder"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/plytest/tape/vcr"
)

// A vcrRecorder is what all versions of go-vcr have.
type vcrRecorder interface {
	http.RoundTripper
	Stop() error
}

// What a cassette of go-vcr has is on the tape as go-vcr itself replays it: of each version, status, header and body, byte for byte.
func TestCassettesOfGoVCRBecomeTapes(t *testing.T) {
	for version, open := range map[string]func(name string) (vcrRecorder, error){
		"1": func(name string) (vcrRecorder, error) { return vcr1.New(name) },
		"3": func(name string) (vcrRecorder, error) { return vcr3.New(name) },
		"4": func(name string) (vcrRecorder, error) { return vcr4.New(name, vcr4.WithSkipRequestLatency(true)) },
	} {
		t.Run(version, func(t *testing.T) {
			origin := serve(t, recordable)
			name := filepath.Join(t.TempDir(), "session")
			ask(t, open, name, origin.URL) // records
			origin.Close()
			replayed := ask(t, open, name, origin.URL)
			tp, err := vcr.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "exchanges", len(tp.Exchanges), len(replayed))
			for i, e := range tp.Exchanges {
				same(t, "exchange", shown(e.Request.Method, e.Request.URL, string(e.Request.Body), e.Response.Status, e.Response.Header, e.Response.Body()), replayed[i])
				same(t, "trailer", e.Response.Trailer.Get("X-Sum") != "", version != "1" && strings.HasSuffix(e.Request.URL, "/trailer"))
				if n := e.Response.Length; n >= 0 && e.Request.Method != http.MethodHead && n != int64(len(e.Response.Body())) {
					t.Errorf("%s: length %d, %d bytes", e.Request.URL, n, len(e.Response.Body()))
				}
			}
			again, err := tape.FromHAR(harOf(t, tp, har.Options{KeepSecrets: true}))
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range again.Exchanges {
				same(t, "exchange by way of an archive", shown(e.Request.Method, e.Request.URL, string(e.Request.Body), e.Response.Status, e.Response.Header, e.Response.Body()), replayed[i])
			}
		})
	}
}

// harOf returns the archive of a tape.
func harOf(t *testing.T, tp *tape.Tape, o har.Options) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	if err := tp.WriteHAR(&out, o); err != nil {
		t.Fatal(err)
	}
	return &out
}

// shown is an exchange as a text: what go-vcr and a tape must agree on.
func shown(method, url, sent string, status int, h http.Header, body []byte) string {
	var fields strings.Builder
	h.Write(&fields)
	return fmt.Sprintf("%s %s %q: %d %q %q", method, url, sent, status, fields.String(), body)
}

// recordable answers in each way that a cassette knows.
func recordable(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/json":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		io.WriteString(w, "{\n  \"yaml\": \"- # ' : \u00fc\",\t\"tab\": true }\n\n")
	case "/bytes":
		w.Write([]byte{0, 1, 254, 255, '\r', '\n'})
	case "/zipped":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, "in the clear")
		z.Close()
	case "/trailer":
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "with a sum")
		w.Header().Set("X-Sum", "7")
	case "/echo":
		io.Copy(w, r.Body)
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "there is none", http.StatusNotFound)
	}
}

// ask makes the requests of the session, and returns what came.
func ask(t *testing.T, open func(string) (vcrRecorder, error), name, origin string) (all []string) {
	t.Helper()
	recorder, err := open(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/json?b=1&a=2", ""}, {"GET", "/bytes", ""}, {"GET", "/zipped", ""}, {"GET", "/trailer", ""}, {"POST", "/echo", "field=1\xff\x00"}, {"HEAD", "/json", ""}, {"GET", "/empty", ""}, {"DELETE", "/none", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, origin+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.body != "" {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(c.body)), int64(len(c.body))
		}
		r.Header.Set("Authorization", "Bearer t0k3n")
		resp, err := recorder.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.path, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		all = append(all, shown(c.method, origin+c.path, c.body, resp.StatusCode, resp.Header, body))
	}
	if err := recorder.Stop(); err != nil {
		t.Fatal(err)
	}
	return all
}
