package retry_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
)

// flaky fails every other request with a body of n bytes.
func flaky(n int) http.Handler {
	var count atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1)%2 == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(n))
			w.WriteHeader(503)
			io.WriteString(w, strings.Repeat("x", n))
			return
		}
		io.WriteString(w, "hello")
	})
}

// serve starts a server and counts the connections to it.
func serve(t *testing.T, h http.Handler, http2 bool) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = http2
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, &conns
}

func TestConnectionsAreReused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		http2 bool
		size  int
	}{
		{"HTTP/1, small", false, 100},
		{"HTTP/1, large", false, 64 << 10},
		{"HTTP/2, small", true, 100},
		{"HTTP/2, large", true, 64 << 10},
		{"HTTP/2, huge", true, 1 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, conns := serve(t, flaky(tt.size), tt.http2)
			h := retry.New(retry.Options{Backoff: retry.Constant(0)})(s.Client().Transport)
			for range 20 {
				req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
				resp, err := h.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil || resp.ProtoMajor != map[bool]int{false: 1, true: 2}[tt.http2] {
					t.Errorf("%q, %v, %s", body, err, resp.Proto)
				}
				resp.Body.Close()
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("%d connections for 40 requests", n)
			}
		})
	}
}

// What http.Transport itself makes of failures, with a method that must not be sent twice.
func TestErrorsOfARealTransport(t *testing.T) {
	abort := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h1, _ := serve(t, abort, false)
	h2, _ := serve(t, abort, true)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed := httptest.NewServer(abort)
	closed.Close()
	for _, tt := range []struct {
		name string
		url  string
		next http.RoundTripper
		want retry.Stop
		n    int
	}{
		{"refused", closed.URL, &http.Transport{}, retry.StopAttempts, 3},
		{"connection closed by the handler", h1.URL, h1.Client().Transport, retry.StopMethod, 1},
		{"stream reset by the handler", h2.URL, h2.Client().Transport, retry.StopMethod, 1},
		{"unknown authority", h1.URL, &http.Transport{}, retry.StopFatal, 1},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), &http.Transport{}, retry.StopFatal, 1},
		{"unsupported scheme", "gopher://example.com/", &http.Transport{}, retry.StopFatal, 1},
		{"no host", "http:///", &http.Transport{}, retry.StopFatal, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequestWithContext(t.Context(), "POST", tt.url, strings.NewReader("payload"))
			_, err := do(t, retry.Options{Backoff: retry.Constant(0)}, tt.next, req)
			var e *retry.Error
			if !errors.As(err, &e) || e.Stop != tt.want || len(e.Attempts) != tt.n {
				t.Errorf("%v (%T), want %s after %d", err, errors.Unwrap(err), tt.want, tt.n)
			}
			if c, ok := tt.next.(interface{ CloseIdleConnections() }); ok {
				c.CloseIdleConnections()
			}
		})
	}
}

// stuck is a connection on which, once told so, what is written arrives but the write does not return.
type stuck struct {
	net.Conn
	now     *atomic.Bool
	release chan struct{}
}

func (c stuck) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.now.Load() {
		<-c.release
	}
	return n, err
}

// The header of an HTTP/2 request may be at the server while the transport is still in the write, so that WroteHeaders has not fired
// when the time of the attempt is over.
func TestStuckWriteIsNoProofOfUnsent(t *testing.T) {
	arrived := make(chan string, 3)
	var now atomic.Bool
	release := make(chan struct{})
	s, _ := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.Method
		if r.Method == "POST" {
			<-release
		}
	}), true)
	base := s.Client().Transport.(*http.Transport).Clone()
	base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return stuck{c, &now, release}, err
	}
	defer base.CloseIdleConnections()
	warm, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
	resp, err := base.RoundTrip(warm)
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
	<-arrived

	now.Store(true)
	ctx, cancel := context.WithCancel(t.Context()) // of a layer inside
	first := true
	next := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		if !first {
			req.Body.Close()
			return nil, errors.New("sent again")
		}
		first = false
		limited, stop := context.WithCancel(req.Context())
		defer stop()
		context.AfterFunc(ctx, stop)
		resp, err := base.RoundTrip(req.WithContext(limited))
		if err != nil && ctx.Err() != nil {
			err = context.DeadlineExceeded
		}
		return resp, err
	})
	go func() {
		<-arrived
		cancel()
	}()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL, strings.NewReader("payload"))
	_, err = do(t, retry.Options{Backoff: retry.Constant(0)}, next, req)
	close(release)
	var e *retry.Error
	if !errors.As(err, &e) || e.Stop != retry.StopMethod || e.Attempts[0].Unsent {
		t.Errorf("%v", err)
	}
}

func TestConcurrentRequestBodiesDoNotMix(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	origin := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(body)); sum != req.Header.Get("Sum") {
			t.Errorf("%s %s came with the body of another request", req.Method, req.Header.Get("Id"))
		}
		mu.Lock()
		defer mu.Unlock()
		seen[req.Header.Get("Id")]++
		return &http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader("busy"))}, nil
	})
	layer := retry.New(retry.Options{Backoff: retry.Constant(0), Budget: retry.Unlimited, BufferBody: 1 << 20})(origin)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 50 {
				id := fmt.Sprint(g, "/", i)
				method := []string{"PUT", "POST"}[i%2]
				body := strings.Repeat(id, 1+i*7)
				req, _ := http.NewRequestWithContext(t.Context(), method, "http://example.com/", io.NopCloser(strings.NewReader(body)))
				req.Header.Set("Id", method+" "+id)
				req.Header.Set("Sum", fmt.Sprintf("%x", sha256.Sum256([]byte(body))))
				resp, err := layer.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	for id, n := range seen {
		if want := map[bool]int{true: 3, false: 1}[strings.HasPrefix(id, "PUT")]; n != want {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
}

// What a call costs when its first attempt is the answer: the call itself, which is also the context of its attempts,
// the copy of the request that carries it, and six for the trace that sees whether the request leaves.
func TestAllocationsOfASuccessfulCall(t *testing.T) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	next := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) { resp.Request = req; return resp, nil })
	h := retry.New(retry.Options{})(next)
	for method, want := range map[string]float64{"GET": 8, "POST": 8, "PUT": 8} {
		req, _ := http.NewRequestWithContext(t.Context(), method, "http://example.com/", nil)
		if method == "PUT" {
			req.Body = io.NopCloser(strings.NewReader("once"))
		}
		if n := testing.AllocsPerRun(100, func() { h.RoundTrip(req) }); n > want {
			t.Errorf("%s: %v allocations, want %v at most", method, n, want)
		}
	}
	req, _ := http.NewRequestWithContext(retry.Disable(t.Context()), "GET", "http://example.com/", nil)
	if n := testing.AllocsPerRun(100, func() { h.RoundTrip(req) }); n != 0 {
		t.Errorf("disabled: %v allocations", n)
	}
}

func BenchmarkSuccess(b *testing.B) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	next := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) { resp.Request = req; return resp, nil })
	h := retry.New(retry.Options{})(next)
	for _, method := range []string{"GET", "POST"} {
		b.Run(method, func(b *testing.B) {
			req, _ := http.NewRequestWithContext(b.Context(), method, "http://example.com/", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.RoundTrip(req)
			}
		})
	}
}

func TestRefusingProxyIsAskedOnce(t *testing.T) {
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxyURL)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: retry.New(retry.Options{})(transport)}
	if resp, err := client.Get("https://a.test/"); err == nil {
		resp.Body.Close()
		t.Error("a refused CONNECT is no error")
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the proxy was asked %d times, want once: it may lock the account", n)
	}
}
