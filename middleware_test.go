package ply_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// answer is a transport that answers every request with text.
func answer(text string) ply.Handler {
	return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			req.Body.Close()
		}
		return &http.Response{
			StatusCode:    http.StatusOK,
			Header:        http.Header{},
			Body:          io.NopCloser(strings.NewReader(text)),
			ContentLength: int64(len(text)),
			Request:       req,
		}, nil
	})
}

func mark(log *[]string, name string) ply.Middleware {
	return func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			*log = append(*log, name+" →")
			resp, err := next.RoundTrip(req)
			*log = append(*log, name+" ←")
			return resp, err
		})
	}
}

func exchangeRecord(t *testing.T, h ply.Handler, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h.RoundTrip(req)
}

func TestChainRunsTheFirstOutermost(t *testing.T) {
	var log []string
	h := ply.Chain(mark(&log, "a"), nil, ply.Chain(mark(&log, "b"), mark(&log, "c")), ply.Chain())(answer("x"))
	if _, err := exchangeRecord(t, h, "http://example.com/"); err != nil {
		t.Fatal(err)
	}
	want := []string{"a →", "b →", "c →", "c ←", "b ←", "a ←"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("order (-want +got)\n%s", diff)
	}
}

func TestChainTakesItsOwnCopyOfTheList(t *testing.T) {
	var log []string
	list := []ply.Middleware{mark(&log, "a")}
	m := ply.Chain(list...)
	list[0] = mark(&log, "changed")
	exchangeRecord(t, m(answer("")), "http://example.com/")
	if diff := cmp.Diff([]string{"a →", "a ←"}, log); diff != "" {
		t.Error(diff)
	}
}

func TestNilNextIsTheDefaultTransport(t *testing.T) {
	old := http.DefaultTransport
	http.DefaultTransport = answer("default")
	defer func() { http.DefaultTransport = old }()
	identity := func(next ply.Handler) ply.Handler { return next }
	for name, m := range map[string]ply.Middleware{
		"empty chain": ply.Chain(),
		"chain":       ply.Chain(identity),
		"named":       ply.Named("x", identity),
		"when":        ply.When(func(*http.Request) bool { return true }, identity),
	} {
		resp, err := exchangeRecord(t, m(nil), "http://example.com/")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "default" {
			t.Errorf("%s: got %q", name, b)
		}
	}
}

func TestLayerThatReturnsNilFailsRequests(t *testing.T) {
	h := ply.Chain(func(ply.Handler) ply.Handler { return nil })(answer(""))
	body := &closeCounter{Reader: strings.NewReader("x")}
	req, _ := http.NewRequest(http.MethodPost, "http://example.com/", body)
	_, err := h.RoundTrip(req)
	if err == nil || !strings.Contains(err.Error(), "returned a nil handler") {
		t.Errorf("got %v", err)
	}
	if body.closed != 1 {
		t.Errorf("request body closed %d times", body.closed)
	}
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestWhenAppliesALayerToSomeRequests(t *testing.T) {
	var log []string
	h := ply.When(func(r *http.Request) bool { return r.URL.Host == "a.test" }, mark(&log, "layer"))(answer(""))
	exchangeRecord(t, h, "http://a.test/")
	exchangeRecord(t, h, "http://b.test/")
	if diff := cmp.Diff([]string{"layer →", "layer ←"}, log); diff != "" {
		t.Error(diff)
	}
}

func TestNilLayersAreSkipped(t *testing.T) {
	if ply.Named("x", nil) != nil || ply.When(nil, nil) != nil {
		t.Error("a nil layer became a layer")
	}
}

// acmeTripperware is a third party's type.
type acmeTripperware func(http.RoundTripper) http.RoundTripper

type acmeTransport struct{ base http.RoundTripper }

func (t *acmeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.base.RoundTrip(r)
}

// describing is a layer with LayerName and Unwrap.
type describing struct{ next http.RoundTripper }

func (d *describing) RoundTrip(r *http.Request) (*http.Response, error) { return d.next.RoundTrip(r) }

func (d *describing) LayerName() string { return "describing" }

func (d *describing) Unwrap() http.RoundTripper { return d.next }

type idleCounter struct {
	ply.Handler
	closed int
}

func (c *idleCounter) CloseIdleConnections() { c.closed++ }

func TestCloseIdleConnectionsOfAClientReachesItsCallLayers(t *testing.T) {
	layer, transport := &idleForwarder{}, &idleCounter{Handler: answer("")}
	c := newClient(t, ply.Options{Transport: transport, UseCall: []ply.Middleware{func(next ply.Handler) ply.Handler {
		layer.Handler = next
		return layer
	}}})
	c.CloseIdleConnections()
	c.HTTPClient().CloseIdleConnections()
	if layer.closed != 2 || transport.closed != 2 {
		t.Errorf("the layer was told %d times, the transport %d times", layer.closed, transport.closed)
	}
}

// idleForwarder is a layer with connections of its own.
type idleForwarder struct{ idleCounter }

func (f *idleForwarder) CloseIdleConnections() {
	f.closed++
	f.Handler.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}

func TestCloseIdleConnectionsReachesTheTransport(t *testing.T) {
	always := func(*http.Request) bool { return true }
	stacks := map[string]ply.Middleware{
		"empty":       ply.Chain(),
		"third party": ply.Chain(acme, plain, made()),
		"named":       ply.Named("x", acme),
		"conditional": ply.When(always, acme),
		"nested":      ply.Chain(acme, ply.Chain(plain, ply.When(always, ply.Named("y", acme)))),
	}
	for name, m := range stacks {
		t.Run(name, func(t *testing.T) {
			transport := &idleCounter{Handler: answer("")}
			(&http.Client{Transport: m(transport)}).CloseIdleConnections()
			if transport.closed != 1 {
				t.Errorf("the transport heard of it %d times, want 1", transport.closed)
			}
		})
	}
}

func TestWrapDoesNotChangeTheClient(t *testing.T) {
	var log []string
	transport := answer("x")
	hc := &http.Client{Transport: transport}
	wrapped := ply.Wrap(hc, mark(&log, "layer"))
	resp, err := wrapped.Get("http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp, err = hc.Get("http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if diff := cmp.Diff([]string{"layer →", "layer ←"}, log); diff != "" {
		t.Error(diff)
	}
	if ply.Wrap(nil).Transport == nil {
		t.Error("Wrap(nil) has no transport")
	}
}

func TestHandlerErrorsPassTheChain(t *testing.T) {
	broken := errors.New("broken")
	h := ply.Chain(plain, acme, ply.Named("x", plain))(ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return nil, broken }))
	if resp, err := exchangeRecord(t, h, "http://example.com/"); !errors.Is(err, broken) || resp != nil {
		t.Errorf("got %v, %v", resp, err)
	}
}

func BenchmarkLayer(b *testing.B) {
	resp := &http.Response{}
	transport := ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return resp, nil })
	req, _ := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	const layers = 10
	repeat := func(m ply.Middleware) ply.Handler {
		list := make([]ply.Middleware, layers)
		for i := range list {
			list[i] = m
		}
		return ply.Chain(list...)(transport)
	}
	for _, bb := range []struct {
		name string
		h    ply.Handler
	}{
		{"none", transport},
		{"describing itself", repeat(func(next ply.Handler) ply.Handler { return &describing{next} })},
		{"named by a link", repeat(plain)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bb.h.RoundTrip(req)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/layers, "ns/layer")
		})
	}
}

func TestLayerAllocatesNothing(t *testing.T) {
	resp := &http.Response{}
	transport := ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return resp, nil })
	h := ply.Chain(plain, acme, ply.Named("x", plain), func(next ply.Handler) ply.Handler { return &describing{next} })(transport)
	req, _ := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	if n := testing.AllocsPerRun(100, func() { h.RoundTrip(req) }); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}

// limit is short enough to be inlined.
func limit(n int) ply.Middleware {
	return func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			req.ContentLength = int64(n)
			return next.RoundTrip(req)
		})
	}
}

// Wrap returns no error, so each request fails with the error that New would return.
func TestWrapRefusesWhatNewRefuses(t *testing.T) {
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	again := retry.New(retry.Options{})
	tests := []struct {
		name string
		hc   *http.Client
		fits bool
	}{
		{"cache around retry", ply.Wrap(&http.Client{Transport: answer("")}, store.Middleware, again), true},
		{"cache inside retry", ply.Wrap(&http.Client{Transport: answer("")}, again, store.Middleware), false},
		{"retry twice", ply.Wrap(&http.Client{Transport: answer("")}, again, again), false},
		{"one cache twice", ply.Wrap(&http.Client{Transport: answer("")}, store.Middleware, store.Middleware), false},
		{"in two steps", ply.Wrap(ply.Wrap(&http.Client{Transport: answer("")}, store.Middleware), again), false},
		{"around what others assembled", ply.Wrap(&http.Client{Transport: ply.Chain(store.Middleware)(answer(""))}, again), false},
		{"in two steps, in order", ply.Wrap(ply.Wrap(&http.Client{Transport: answer("")}, again), store.Middleware), true},
		{"a layer that makes nothing", ply.Wrap(nil, ply.When(nil, again)), false},
	}
	for _, tt := range tests {
		body := &closeCounter{Reader: strings.NewReader("x")}
		err := ply.Discard(tt.hc.Post("http://a.test/", "text/plain", body))
		var oe *ply.OptionError
		if (err == nil) != tt.fits || errors.As(err, &oe) == tt.fits || !tt.fits && (oe.Option != "Wrap" || body.closed != 1) {
			t.Errorf("%s: %v; body closed %d times", tt.name, err, body.closed)
		}
	}
}
