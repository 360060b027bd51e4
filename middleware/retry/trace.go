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

// trace records whether the request of an attempt was written, whichever layer below sends it, and to which addresses.
type trace struct {
	hooks httptrace.ClientTrace
	body  watched
	read  atomic.Bool // bytes of the body were read
	kept  bool        // a layer below says that it did not send the request. Its error may give way to that of AttemptTimeout

	mu       sync.Mutex // guards the fields below: the hooks fire in the transport's goroutines, also late
	asked    string     // the address that a connection was requested to; "" while none was
	several  bool       // connections to several addresses were requested
	got      bool       // there was a connection
	wrote    bool       // part of the header was written, as far as the transport reports
	answered bool       // a response began
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

// wroteField comes before wroteHeaders, which never comes if writing a header longer than the transport's buffer fails half-way.
func (t *trace) wroteField(string, []string) { t.note(&t.wrote) }

func (t *trace) note(happened *bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*happened = true
}

// watched returns a body that records in the trace that it was read.
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

// unsent reports whether the trace of an attempt that failed with err proves that no server has seen the request.
//
// A written header proves the opposite, whatever err is: err may be about another exchange, because a layer below may have followed a redirect
// or tried a second server. Only a refusal by the server (RFC 9113 §8.7, RFC 9114 §4.1.1) outweighs a written header,
// provided there was one server, and no answer.
//
// If no header was written, the type of err is proof, unless err comes from an http.Client that was redirected to another URL.
// A transport that requested a connection and got none is proof, too.
// A transport that does not support httptrace proves nothing.
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
		return t.kept
	}
	// A connection without a written header proves nothing after a timeout or a cancellation: over HTTP/2 RoundTrip then returns
	// without waiting for its write, which may be stuck half-way, and the hooks fire only when the write has ended.
	return !t.got || f != failureTimeout && asTimeout(err) == failureUnknown && !errors.Is(err, context.Canceled)
}

// saysUnsent reports whether err says by a method Unsent that a layer below did not send the request.
func saysUnsent(err error) bool {
	var says interface{ Unsent() bool }
	return errors.As(err, &says) && says.Unsent()
}

// elsewhere reports whether err comes from an http.Client that a redirect led away from the URL of req.
func elsewhere(req *http.Request, err error) bool {
	failed, ok := as[*url.Error](err)
	if !ok || req.URL == nil {
		return false
	}
	at, err := url.Parse(failed.URL)
	return err != nil || at.Host != req.URL.Host || at.Path != req.URL.Path
}
