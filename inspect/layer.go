package inspect

import (
	"context"
	"io"
	"net/http"
	"runtime"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/stack"
)

// Middleware is the layer: it keeps what passes it, and changes none of it. Bodies are copied as the caller reads them; what it does not read, the inspector does not read either.
//
// Put it outside the layers that it is to show, first in ply.Options.Use: it sees each hop there, and groups those of a redirected call. It also stands in any *http.Client, by [ply.Wrap].
func (in *Inspector) Middleware(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	l := &layer{in: in, next: next, chain: chainOf(next)}
	for _, part := range l.chain {
		l.calls = l.calls || part.Name == redirects
	}
	l.caches = hasCache(next)
	l.recorded = ply.RecordCalls(&noted{in, ply.RecordCalls(next)}) // the inner one records exchanges if next is a transport
	return l
}

// redirects is the name of the layer of a client that follows redirects: outside of it, a request is a whole call.
const redirects = "redirects and cookies"

type layer struct {
	in       *Inspector
	next     http.RoundTripper
	recorded http.RoundTripper // next, with a record of each call
	chain    []chainLayer
	calls    bool // it stands outside redirects
	caches   bool // a ply cache is among the layers below; without one, Cache-Status is the server's
}

func (l *layer) LayerName() string { return "inspect" }

func (l *layer) Unwrap() http.RoundTripper { return l.next }

func (l *layer) WrappedRoundTripper() http.RoundTripper { return l.next }

func (l *layer) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (l *layer) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.in.closed.Load() || l.nested(req) {
		return l.next.RoundTrip(req)
	}
	h := l.begin(req)
	out := req.WithContext(context.WithValue(req.Context(), hopKey{l.in}, h))
	h.copyRequest(out)
	returned := false
	defer func() {
		if !returned { // a layer below has panicked, or ended the goroutine
			h.failed(errPanicked)
		}
	}()
	resp, err := l.recorded.RoundTrip(out)
	returned = true
	if err != nil || resp == nil {
		h.failed(err)
		return resp, err
	}
	h.responded(resp, l.caches)
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols || resp.Body == nil || resp.Body == http.NoBody:
		h.done(nil, nil)
	default:
		body := &copied{ReadCloser: resp.Body, hop: h, trailer: resp}
		body.lost = runtime.AddCleanup(body, (*hop).lose, h)
		resp.Body = body
	}
	return resp, nil
}

// hopKey finds the hop of an inspector in the context of its requests.
type hopKey struct{ in *Inspector }

func (in *Inspector) hopOf(ctx context.Context) *hop {
	h, _ := ctx.Value(hopKey{in}).(*hop)
	return h
}

// nested reports whether req is part of a hop that is under way: what passes the inspector twice is shown once.
func (l *layer) nested(req *http.Request) bool {
	outer := l.in.hopOf(req.Context())
	return outer != nil && outer.underWay()
}

// begin makes the hop of a request, in the call that was redirected to it or in one of its own.
func (l *layer) begin(req *http.Request) *hop {
	h := l.in.newHop(req)
	if req.Response != nil && req.Response.Request != nil {
		if before := l.in.hopOf(req.Response.Request.Context()); before != nil && before.call.redirected(h) {
			l.in.changed(before.call)
			return h
		}
	}
	c := &call{in: l.in, start: h.start, chain: l.chain, whole: l.calls, hops: []*hop{h}}
	h.call = c
	c.charge(callBytes + h.bytes())
	l.in.add(c)
	return h
}

// noted stands inside the record, and keeps hold of it.
type noted struct {
	in   *Inspector
	next http.RoundTripper
}

func (n *noted) RoundTrip(req *http.Request) (*http.Response, error) {
	if h := n.in.hopOf(req.Context()); h != nil {
		h.call.recordedBy(req.Context())
	}
	return n.next.RoundTrip(req)
}

func (n *noted) Unwrap() http.RoundTripper { return n.next }

func (n *noted) WrappedRoundTripper() http.RoundTripper { return n.next }

// recordOf returns a context that has the record of ctx and nothing else, so that a call which is kept holds nothing of its program's.
func recordOf(ctx context.Context) context.Context {
	if record := reqctx.Record(ctx); record != nil {
		return reqctx.WithRecord(context.Background(), record)
	}
	return nil
}

// chainLayer is a layer as the page shows it.
type chainLayer struct {
	Name        string `json:"name"`
	Conditional bool   `json:"conditional,omitempty"`
}

func chainOf(next http.RoundTripper) []chainLayer {
	var chain []chainLayer
	for _, l := range ply.Layers(next) {
		chain = append(chain, chainLayer{l.Name, l.Conditional})
	}
	return chain
}

func hasCache(h http.RoundTripper) bool {
	found, left := false, stack.Limit
	stack.Walk(h, &left, func(h http.RoundTripper) http.RoundTripper {
		if layer, ok := h.(interface{ LayerName() string }); ok && layer.LayerName() == "cache" {
			found = true
			return nil
		}
		return stack.Next(h)
	})
	return found
}

// cacheStatus reads what a ply cache says that it did.
func cacheStatus(h http.Header) (cachestatus.Status, bool) { return cachestatus.Last(h) }

// copied copies a response body as the caller reads it.
type copied struct {
	io.ReadCloser
	hop     *hop
	trailer *http.Response // whose Trailer is complete at the end of the body
	lost    runtime.Cleanup
}

// Unwrap returns the body that is read.
func (c *copied) Unwrap() io.ReadCloser { return c.ReadCloser }

func (c *copied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.hop.passed(p[:n])
	if err != nil {
		c.done(err)
	}
	return n, err
}

func (c *copied) Close() error {
	defer c.done(errClosed) // even if a layer's body panics
	return c.ReadCloser.Close()
}

func (c *copied) done(err error) {
	c.lost.Stop()
	c.hop.done(err, c.trailer)
}
