package retry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// result is a call as its caller sees it.
type result struct {
	Requests int // that reached the origin
	Status   int // of the response; zero with an error
	Stop     retry.Stop
}

// call sends req through a layer over replies and tells what came of it.
func call(t *testing.T, o retry.Options, req *http.Request, replies ...plytest.Reply) (result, error) {
	t.Helper()
	origin := plytest.NewOrigin(replies...)
	resp, err := do(t, o, origin, req)
	if err != nil {
		return result{Requests: origin.Count(), Stop: stopOf(t, err)}, err
	}
	defer resp.Body.Close()
	info, _ := retry.InfoFrom(resp)
	return result{origin.Count(), resp.StatusCode, info.Stop}, nil
}

func stopOf(t *testing.T, err error) retry.Stop {
	t.Helper()
	var e *retry.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *retry.Error: %v", err, err)
	}
	return e.Stop
}

func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// timeoutErr is what http.Transport returns when ResponseHeaderTimeout is over: it matches context.DeadlineExceeded.
type timeoutErr struct{}

func (timeoutErr) Error() string { return "timeout awaiting response headers" }

func (timeoutErr) Timeout() bool { return true }

func (timeoutErr) Temporary() bool { return true }

func (timeoutErr) Is(target error) bool { return target == context.DeadlineExceeded }

type verdict bool

func (verdict) Error() string { return "speaks for itself" }

func (v verdict) RetryableError() bool { return bool(v) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type idler struct {
	http.RoundTripper
	n atomic.Int32
}

func (i *idler) CloseIdleConnections() { i.n.Add(1) }

type down bool

func (down) Error() string { return "circuit open" }

func (d down) OriginUnavailable() bool { return bool(d) }

// do sends one request through a layer over origin, inside a bubble where waiting takes no time.
func do(t *testing.T, o retry.Options, origin http.RoundTripper, req *http.Request) (*http.Response, error) {
	t.Helper()
	resp, err := retry.New(o)(origin).RoundTrip(req)
	if (resp == nil) == (err == nil) {
		t.Fatalf("got response %v and error %v, want one of them", resp, err)
	}
	return resp, err
}

func newRequest(t *testing.T, method string) *http.Request {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPut {
		body = strings.NewReader("payload")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://example.com/path?token=hush", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

type closes struct {
	io.Reader
	n int
}

func (c *closes) Close() error { c.n++; return nil }
