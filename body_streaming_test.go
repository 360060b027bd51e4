package ply_test

import (
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/logging"
)

// watchers returns the layers that watch bodies: the log with all its options, and the record of a call.
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

// Each Read of the caller is one Read of the inner body with the caller's own buffer, and its result is unchanged, so nothing can be buffered.
func TestWatchersPassEachReadThrough(t *testing.T) {
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

// The server sends each line only after the client has got the one before, so a watcher that held a line back would block the test.
func TestWatchersDoNotDelayLines(t *testing.T) {
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

// 256 MiB in each direction must cost less than 1 MiB of allocations.
func TestWatchersDoNotKeepLargeBodies(t *testing.T) {
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

// zeros gives n zero bytes and holds none of them.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestLargeBodiesAreNotHeldInMemory(t *testing.T) {
	const size, bound = 64 << 20, 8 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, " ", err)
	}))
	defer server.Close()
	path := file(t, "large.bin", "")
	require.NoError(t, os.Truncate(path, size))
	client := newClient(t, ply.Options{})
	for name, opts := range map[string][]ply.RequestOption{
		"reader":    {ply.BodyReader(zeros(size))},
		"open file": {ply.BodyReader(open(t, path, 0))},
		"file":      {ply.BodyFile(path), ply.UploadProgress(func(_, _ int64) {})},
		"multipart": {ply.BodyMultipart(
			ply.PartFile("a", path),
			ply.PartFunc("b", "", size, func() (io.ReadCloser, error) { return io.NopCloser(zeros(size)), nil }))},
		"gzip": {ply.BodyReader(zeros(size / 4)), ply.CompressBody("gzip")},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := client.Post(t.Context(), server.URL, opts...)
			require.NoError(t, err)
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			runtime.ReadMemStats(&after)
			if err != nil || !strings.HasSuffix(string(answer), "<nil>") {
				t.Errorf("server read %q, %v", answer, err)
			}
			// All that was ever allocated bounds what was held at any time.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > bound {
				t.Errorf("%d bytes allocated to send %d", grown, size)
			}
		})
	}
}

// HTTP/2 closes a body while it is being read. Under the race detector this shows what Close touches.
func TestRequestBodyMayBeClosedDuringARead(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, 1000)); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := newClient(t, ply.Options{Transport: server.Client().Transport})
	for _, tt := range []struct {
		name string
		opts func(io.Reader) []ply.RequestOption
	}{
		{"reader", func(r io.Reader) []ply.RequestOption { return []ply.RequestOption{ply.BodyReader(r)} }},
		{"gzip", func(r io.Reader) []ply.RequestOption {
			return []ply.RequestOption{ply.BodyReader(r), ply.CompressBody("gzip")}
		}},
		{"multipart", func(r io.Reader) []ply.RequestOption {
			return []ply.RequestOption{ply.BodyMultipart(ply.PartField("a", "1"), ply.PartReader("r", "", r))}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, out := io.Pipe()
			body := &unblocked{PipeReader: in, closed: make(chan struct{})}
			go func() {
				// Random enough not to vanish in compression; the pipe blocks once the transport has stopped.
				for i := uint32(1); ; i = i*1664525 + 1013904223 {
					if _, err := fmt.Fprintf(out, "%08x", i); err != nil {
						return
					}
				}
			}()
			resp, err := client.Post(t.Context(), server.URL, tt.opts(body)...)
			if err == nil {
				resp.Body.Close()
				t.Error("no error")
			}
			<-body.closed
			if n := body.closes.Load(); n != 1 {
				t.Errorf("closed %d times", n)
			}
		})
	}
}

// unblocked is a pipe that signals when it is closed.
type unblocked struct {
	*io.PipeReader
	closes atomic.Int32
	closed chan struct{}
}

func (u *unblocked) Close() error {
	if u.closes.Add(1) == 1 {
		close(u.closed)
	}
	return u.PipeReader.Close()
}

func inflated(encoding string, r io.Reader) ([]byte, error) {
	var plain io.Reader
	var err error
	if encoding == "gzip" {
		plain, err = gzip.NewReader(r)
	} else {
		plain, err = zlib.NewReader(r)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}
