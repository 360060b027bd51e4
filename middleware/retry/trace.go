package retry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
)

// trace sees whether the request of an attempt leaves, whichever layer below sends it, how often and where to.
type trace struct {
	hooks httptrace.ClientTrace
	body  watched
	read  atomic.Bool // bytes of the body have been taken

	mu       sync.Mutex // guards the fields below: the hooks fire in the transport's goroutines, also late
	asked    string     // the address that a connection was wanted to; "" while none was
	several  bool       // connections were wanted to several addresses
	got      bool       // there was a connection
	wrote    bool       // a part of the header has been written to one, as far as a transport tells
	answered bool       // a response has begun
}

func (t *trace) within(ctx context.Context) context.Context {
	t.hooks = httptrace.ClientTrace{GetConn: t.getConn, GotConn: t.gotConn, WroteHeaderField: t.wroteField, WroteHeaders: t.wroteHeaders, GotFirstResponseByte: t.firstByte}
	return httptrace.WithClientTrace(ctx, &t.hooks)
}

func (t *trace) getConn(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.several = t.several || t.asked != "" && t.asked != address
	t.asked = address
}

func (t *trace) gotConn(httptrace.GotConnInfo) { t.note(&t.got) }
func (t *trace) wroteHeaders()                 { t.note(&t.wrote) }
func (t *trace) firstByte()                    { t.note(&t.answered) }

// wroteField comes before wroteHeaders, which does not come at all if a header is too long for the transport's buffer and breaks off on its way.
func (t *trace) wroteField(string, []string) { t.note(&t.wrote) }

func (t *trace) note(happened *bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*happened = true
}

// watched returns a body that tells the trace when it is read.
func (t *trace) watched(content io.ReadCloser) io.ReadCloser {
	if content == nil || content == http.NoBody {
		return content
	}
	t.body = watched{content, t}
	return &t.body
}

type watched struct {
	io.ReadCloser
	trace *trace
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 {
		w.trace.read.Store(true)
	}
	return n, err
}

// unsent reports whether it is proven that no server has seen the request, by what an attempt that failed with err has done.
//
// A header that was written is proof of the opposite, whatever err says: it may speak of another exchange, since a layer below may have followed a redirect,
// or asked a second server. Only the word of a server that it has refused the request unseen (RFC 9113 §8.7, RFC 9114 §4.1.1) holds against it,
// as long as there was one server, and no answer.
//
// Where no header was written, the type of err is proof, unless an http.Client that nothing else is known of says in it that it was on its way to another URL,
// as is a transport that looked for a connection in vain.
// The silence of a transport that does not take part in httptrace is none.
func (t *trace) unsent(req *http.Request, err error, f failure) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case f == failureRefused:
		return !t.answered && !t.several
	case t.wrote || t.answered || t.read.Load():
		return false
	case f == failureUnsent:
		return t.asked != "" || !elsewhere(req, err)
	case t.asked == "":
		return saysUnsent(err)
	}
	// Silence on a connection proves nothing when time ran out or somebody cancelled: over HTTP/2 a RoundTrip returns then
	// without waiting for its write, which may be stuck half-way, and the hooks fire only when that is done.
	return !t.got || f != failureTimeout && asTimeout(err) == failureUnknown && !errors.Is(err, context.Canceled)
}

// saysUnsent reports whether err says by a method Unsent that a layer below has kept the request.
func saysUnsent(err error) bool {
	var says interface{ Unsent() bool }
	return errors.As(err, &says) && says.Unsent()
}

// elsewhere reports whether err is that of an http.Client which a redirect had led away from the URL of req.
func elsewhere(req *http.Request, err error) bool {
	failed, ok := as[*url.Error](err)
	if !ok || req.URL == nil {
		return false
	}
	at, err := url.Parse(failed.URL)
	return err != nil || at.Host != req.URL.Host || at.Path != req.URL.Path
}
