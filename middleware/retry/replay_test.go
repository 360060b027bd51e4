package retry_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestBodyIsResentOnlyFromGetBodyOrBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const payload = "payload"
		for _, tt := range []struct {
			name    string
			getBody bool
			o       retry.Options
			want    result
			bodies  []string
		}{
			{"GetBody", true, retry.Options{}, result{3, 503, retry.StopAttempts}, []string{payload, payload, payload}},
			{"none", false, retry.Options{}, result{1, 503, retry.StopBody}, []string{payload}},
			{"buffered", false, retry.Options{BufferBody: 7}, result{3, 503, retry.StopAttempts}, []string{payload, payload, payload}},
			{"over the buffer", false, retry.Options{BufferBody: 6}, result{1, 503, retry.StopBody}, []string{payload}},
		} {
			source := &closes{Reader: strings.NewReader(payload)}
			req := newRequest(t, http.MethodPut)
			req.Body, req.ContentLength = source, -1
			if !tt.getBody {
				req.GetBody = nil
			}
			origin := plytest.NewOrigin(plytest.Status(503))
			resp, err := do(t, tt.o, origin, req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			info, _ := retry.InfoFrom(resp)
			if diff := cmp.Diff(tt.want, result{origin.Count(), resp.StatusCode, info.Stop}); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.name, diff)
			}
			var bodies []string
			for _, x := range origin.Exchanges() {
				bodies = append(bodies, string(x.Body))
			}
			if diff := cmp.Diff(tt.bodies, bodies); diff != "" {
				t.Errorf("%s: bodies (-want +got)\n%s", tt.name, diff)
			}
			if source.n != 1 || req.Body != source {
				t.Errorf("%s: the caller's body was closed %d times, replaced: %v", tt.name, source.n, req.Body != source)
			}
		}
	})
}

func TestFailingGetBodyReturnsTheResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		req := newRequest(t, http.MethodPut)
		gone := errors.New("the file is gone")
		req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		bucket := &retry.TokenBucket{}
		got, err := call(t, retry.Options{Budget: bucket}, req, plytest.Status(503))
		if diff := cmp.Diff(result{1, 503, retry.StopBody}, got); diff != "" || err != nil {
			t.Errorf("(-want +got)\n%s%v", diff, err)
		}
		if bucket.Tokens("example.com") != 100 {
			t.Error("a retry that was not made has been paid for")
		}
		if _, err = call(t, retry.Options{}, req, plytest.ResetConnection()); !errors.Is(err, gone) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the error matches neither reason: %v", err)
		}
	})
}

// A buffered body is read by the next attempt while the transport still reads it for the last one.
func TestBufferedBodyIsCompleteAfterALateRead(t *testing.T) {
	source, sink := io.Pipe()
	defer sink.Close()
	var late io.ReadCloser
	var got string
	n := 0
	origin := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			go sink.Write([]byte("abc"))
			io.ReadFull(req.Body, make([]byte, 2))
			late = req.Body
			req.Body.Close()
			return nil, io.EOF
		}
		if _, err := late.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Errorf("reading a closed body: %v", err)
		}
		go func() { sink.Write([]byte("def")); sink.Close() }()
		b, err := io.ReadAll(req.Body)
		got = string(b)
		req.Body.Close()
		return &http.Response{StatusCode: 200, Body: http.NoBody}, err
	})
	req := newRequest(t, http.MethodPut)
	body := &closes{Reader: source}
	req.Body, req.GetBody, req.ContentLength = body, nil, -1
	resp, err := do(t, retry.Options{BufferBody: 100, Backoff: retry.Constant(0)}, origin, req)
	if err != nil || got != "abcdef" || body.n != 1 {
		t.Fatalf("got %q, %v; body closed %d times", got, err, body.n)
	}
	resp.Body.Close()
}

// What a late Read takes beyond the limit is lost to the attempt that follows, which must not skip it.
func TestBufferOverflowInALateReadFailsTheAttempt(t *testing.T) {
	entered, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	step := 0
	source := readerFunc(func(p []byte) (int, error) {
		switch step++; step {
		case 1:
			return copy(p, "ab"), nil
		case 2:
			close(entered)
			<-release
			return copy(p, "cdef"), nil
		}
		return 0, io.EOF
	})
	n := 0
	var err error
	origin := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		defer req.Body.Close()
		if n++; n == 1 {
			req.Body.Read(make([]byte, 8))
			late := req.Body
			go func() { defer close(left); late.Read(make([]byte, 8)) }()
			<-entered
			return nil, io.EOF
		}
		close(release)
		_, err = io.ReadAll(req.Body)
		return nil, err
	})
	req := newRequest(t, "PUT")
	req.Body, req.GetBody, req.ContentLength = io.NopCloser(source), nil, -1
	do(t, retry.Options{BufferBody: 3, Backoff: retry.Constant(0), MaxAttempts: 2}, origin, req)
	<-left
	if n != 2 || err == nil {
		t.Errorf("attempt %d sent a body with a hole", n)
	}
}

// A body of a known length is buffered up to the limit, and not beyond.
func TestBufferBodyBoundsTheLength(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			limit, length int64
			want          int // requests
		}{{0, 7, 1}, {0, -1, 1}, {6, 7, 1}, {7, 7, 2}, {8, 7, 2}, {7, -1, 2}} {
			req := newRequest(t, "PUT")
			req.Body, req.GetBody, req.ContentLength = io.NopCloser(strings.NewReader("payload")), nil, tt.length
			if got, _ := call(t, retry.Options{BufferBody: tt.limit}, req, plytest.Status(503), plytest.Text("")); got.Requests != tt.want {
				t.Errorf("a body of %d with a limit of %d: %d requests, want %d", tt.length, tt.limit, got.Requests, tt.want)
			}
		}
	})
}
