package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/logging"
)

// watchers are what sees bodies pass: the log with all that it can write, and the record of a call.
func watchers() map[string]func(transport http.RoundTripper) http.RoundTripper {
	logger := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	log := logging.New(logging.Options{Logger: logger, Headers: true, BodyBytes: 1 << 10, Connection: true})
	return map[string]func(http.RoundTripper) http.RoundTripper{
		"log": log,
		"record": func(transport http.RoundTripper) http.RoundTripper {
			hc := ply.Wrap(&http.Client{Transport: transport})
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				return hc.Do(r.WithContext(ply.WithCallInfo(r.Context())))
			})
		},
	}
}

// Each Read of the caller is one Read of the body inside, with the caller's own buffer, and comes back as it is:
// there is no room where something could be kept, and no moment at which it could be.
func TestEachReadGoesThrough(t *testing.T) {
	for name, layer := range watchers() {
		t.Run(name, func(t *testing.T) {
			src := &scriptedReads{steps: []readStep{{3, nil}, {0, nil}, {1, nil}, {7, errors.New("broken")}}}
			h := layer(ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				resp := reply(r, http.StatusOK, http.Header{"Content-Type": {"text/plain"}}, "")
				resp.Body = src
				return resp, nil
			}))
			resp, err := ask(t.Context(), roundTripDoer{h}, "http://a.test/")
			require.NoError(t, err)
			if src.next != 0 {
				t.Errorf("%d reads before the caller's first", src.next)
			}
			for i, want := range src.steps {
				p := make([]byte, 10+i)
				n, err := resp.Body.Read(p)
				if src.next != i+1 || &src.last[0] != &p[0] || len(src.last) != len(p) {
					t.Errorf("read %d: %d reads inside, the last into a buffer of %d", i, src.next, len(src.last))
				}
				if n != want.n || err != want.err {
					t.Errorf("read %d: %d, %v; want %d, %v", i, n, err, want.n, want.err)
				}
			}
		})
	}
}

type roundTripDoer struct{ http.RoundTripper }

func (d roundTripDoer) Do(req *http.Request) (*http.Response, error) { return d.RoundTrip(req) }

type readStep struct {
	n   int
	err error
}

// scriptedReads notes the buffer of each Read.
type scriptedReads struct {
	steps []readStep
	next  int
	last  []byte
}

func (s *scriptedReads) Read(p []byte) (int, error) {
	s.last = p
	step := s.steps[s.next]
	s.next++
	return step.n, step.err
}

func (s *scriptedReads) Close() error { return nil }

// A server that sends the next line only when the last one has been answered: whoever held one back would stop everything.
func TestALineComesBeforeTheNextIsSent(t *testing.T) {
	answered := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("as"))
		for i := range 20 {
			fmt.Fprintf(w, "line %02d\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-answered:
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for name, layer := range watchers() {
		for _, media := range []string{"text/event-stream", "text/plain", "application/x-ndjson"} {
			resp, err := ask(t.Context(), roundTripDoer{layer(transport)}, server.URL+"/?as="+media)
			require.NoError(t, err)
			for i := range 20 {
				line := make([]byte, len("line 00\n"))
				if _, err := io.ReadFull(resp.Body, line); err != nil || string(line) != fmt.Sprintf("line %02d\n", i) {
					t.Fatalf("%s, %s: line %d is %q, error %v", name, media, i, line, err)
				}
				answered <- struct{}{}
			}
			resp.Body.Close()
		}
	}
}

// 256 MiB go down and up, and next to nothing is allocated for them.
func TestALargeBodyIsNotKept(t *testing.T) {
	const size = 256 << 20
	for name, layer := range watchers() {
		t.Run(name, func(t *testing.T) {
			h := layer(ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r.Body}, make([]byte, 32<<10))
				if err != nil || n != size {
					t.Errorf("the server got %d bytes, error %v", n, err)
				}
				r.Body.Close()
				resp := reply(r, http.StatusOK, http.Header{"Content-Type": {"text/plain"}}, "")
				resp.Body, resp.ContentLength = io.NopCloser(zeros(size)), size
				return resp, nil
			}))
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://a.test/", zeros(size))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "text/plain")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := h.RoundTrip(req)
			require.NoError(t, err)
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, make([]byte, 32<<10))
			if err != nil || n != size {
				t.Errorf("the caller got %d bytes, error %v", n, err)
			}
			resp.Body.Close()
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("%d bytes are allocated for it", grown)
			}
		})
	}
}
