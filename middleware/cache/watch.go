package cache

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// credentialsBelow is why an answer is neither stored nor shared if its request was sent with credentials that the cache has not seen: the key does not say whose it is.
const credentialsBelow = "credentials were added below the cache"

// setBelow is the same for an answer that varies on a field that a layer below has set: the cache would take it for one to all for whom that layer sets another value.
// The name of the field follows.
const setBelow = "a field that Vary names was set below the cache: "

// A watch compares the credentials that are sent for one exchange with those that its key was made of. It sees each field that net/http writes,
// in each attempt and each hop, for requests in the exchange's context, whatever the layers between make of them. It also looks at the request
// that the response says it answers, for transports that do not support httptrace. A layer that hides both escapes it.
//
// A nil watch has seen nothing.
type watch struct {
	context.Context                // of the request that is watched: the exchange's, or values
	request         http.Request   // that is watched; its context is the watch
	values          reqctx.Context // if layers below may have something to tell
	path            *connection.Path
	look            bool // at the connections, too
	lazy            bool // the trace is made when Value is asked for it
	trace           atomic.Pointer[httptrace.ClientTrace]

	mu      sync.Mutex // guards the fields below: net/http writes on goroutines of its own
	keyed   credential.Set
	carried rfc9111.Carried // beside the keyed ones
	foreign bool
	socket  bool   // a connection went to a Unix socket
	varied  string // a field that the answer varies on and that was set below, or ""
}

// watched returns the request to send in r's place, with the watch w on it if it matters what is sent.
func (x *exchange) watched(r *http.Request, w *watch) *http.Request {
	x.watch = nil
	a, p := x.parsed, &x.cache.policy
	unseen := a.Path.Unseen()
	if a.Bypass != "" && !a.MayStore() || !unseen && !p.Shared && (p.OneIdentity || a.Named) {
		return r
	}
	x.watch = w
	w.keyed, w.path, w.look = credential.Of(x.request), &a.Path, unseen || a.Path.Common()
	w.Context = r.Context()
	if unseen || a.Path.Credentialed() {
		v := reqctx.From(w.Context)
		v.Signatures = w
		w.values.Fill(w.Context, v)
		w.Context = &w.values
	}
	if w.lazy = lazyTrace; !w.lazy {
		w.Context = httptrace.WithClientTrace(w.Context, w.hooks())
	}
	w.request = *r.WithContext(w)
	return &w.request
}

// traceKey is the key under which package httptrace looks for the trace of a context, which it does not export. It is nil if that is found in another way.
var traceKey = func() any {
	var asked lookedFor
	httptrace.ContextClientTrace(&asked)
	trace := new(httptrace.ClientTrace)
	if asked.key == nil || httptrace.ContextClientTrace(context.WithValue(context.Background(), asked.key, trace)) != trace {
		return nil
	}
	return asked.key
}()

// lazyTrace is false where a trace has to be made for each watch. It is a variable for the test of that.
var lazyTrace = traceKey != nil

// lookedFor is a context without values that notes which one is looked for.
type lookedFor struct {
	context.Context
	key any
}

func (l *lookedFor) Value(key any) any {
	l.key = key
	return nil
}

// Value returns the trace of w, and everything else from the context that w was made of. The trace is made when it is first asked for:
// only a transport that writes to a connection does so, and each hook is an allocation.
func (w *watch) Value(key any) any {
	if !w.lazy || key != traceKey {
		return w.Context.Value(key)
	}
	if w.trace.Load() == nil {
		trace := w.hooks()
		if httptrace.ContextClientTrace(w.Context) != nil { // an outer one hears what it would hear without the watch
			trace = httptrace.ContextClientTrace(httptrace.WithClientTrace(w.Context, trace))
		}
		w.trace.CompareAndSwap(nil, trace)
	}
	return w.trace.Load()
}

// String is what fmt prints for the context.
func (w *watch) String() string { return "cache.watch" }

func (w *watch) hooks() *httptrace.ClientTrace {
	t := &httptrace.ClientTrace{WroteHeaderField: w.wrote}
	if w.look {
		t.GotConn = w.got
	}
	return t
}

// Signed is called by signers below that have said for whom they sign. The name of the path, and so the key, has that principal, unless
// the cache could not see the signer, or only some requests pass it: then its answer is for its caller alone.
func (w *watch) Signed(principal string, before, after *http.Request) {
	if !w.path.SignedFor(principal) {
		w.Added("")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keyed.AddSigned(before, after)
}

// Added is called by layers below that add a credential of their own for a principal that the cache does not know.
func (w *watch) Added(name string) { w.note(rfc9111.CarriedIn(name)) }

// wrote is called for each field that is written. In HTTP/2 that is once for each value, and the path is a field, too.
// Proxy-Authorization is the connection's: net/http adds it for a proxy that it was given together with a password.
func (w *watch) wrote(name string, values []string) {
	switch {
	case name == ":path" && len(values) == 1:
		if _, query, ok := strings.Cut(values[0], "?"); ok && !w.hasQuery(query) {
			w.note(rfc9111.OtherCarried)
		}
	case !credential.Named(name), field.EqualFold(name, "Proxy-Authorization"):
	default:
		for _, value := range values {
			if !w.hasField(name, value) {
				w.note(rfc9111.CarriedIn(name))
			}
		}
	}
}

func (w *watch) hasQuery(query string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keyed.HasQuery(query)
}

func (w *watch) hasField(name, value string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keyed.HasField(name, value)
}

func (w *watch) has(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keyed.Has(r)
}

// got is called with each connection that is used. Where the cache cannot see the transport, or a layer hides one of its own, only this shows that a URL leads
// to a socket rather than to the host that it names, or that the client presents certificates, which are credentials that no key has.
func (w *watch) got(info httptrace.GotConnInfo) {
	if info.Conn == nil {
		return
	}
	if connection.ShowsCertificate(info.Conn) {
		w.note(rfc9111.OtherCarried)
	}
	if to := info.Conn.RemoteAddr(); to != nil && to.Network() == "unix" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.socket = true
	}
}

// apart says why an answer over the connections that were used is for its caller alone, or is empty.
func (x *exchange) apart(resp *http.Response) string {
	if !x.parsed.Path.Admits(resp) {
		return "the connection was not verified"
	}
	if w := x.watch; w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.socket {
			return "the connection goes to a socket, below a transport that cannot be seen"
		}
	}
	return ""
}

func (w *watch) note(c rfc9111.Carried) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.carried |= c
	w.foreign = true
}

// look examines the request as the layers below have left it, and the one that the response says it answers.
func (x *exchange) look(sent *http.Request, resp *http.Response) {
	w := x.watch
	if w == nil {
		return
	}
	w.lookAt(sent)
	if resp == nil {
		return
	}
	vary := resp.Header["Vary"]
	name := rfc9111.SetBelow(vary, x.request, sent)
	if resp.Request != nil && resp.Request != sent {
		w.lookAt(resp.Request)
		name = cmp.Or(name, rfc9111.SetBelow(vary, x.request, resp.Request))
	}
	if name != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.varied = name
	}
}

func (w *watch) lookAt(r *http.Request) {
	if w.has(r) {
		return
	}
	if c := rfc9111.CarriedBy(r); c != 0 {
		w.note(c)
		return
	}
	w.note(rfc9111.OtherCarried) // in the query
}

// carries returns the kinds of credentials that were sent beside the keyed ones.
func (w *watch) carries() rfc9111.Carried {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.carried
}

// misattributed reports whether what was sent had credentials that the request's key does not show, or other fields that the answer varies on and that do not select it:
// then only its caller may have the answer. It is false where the program has said who asks, or that all requests are one principal's.
func (x *exchange) misattributed() bool { return x.misattribution() != "" }

// misattribution is why, or "".
func (x *exchange) misattribution() string {
	w := x.watch
	if w == nil || x.cache.policy.OneIdentity || x.parsed.Named {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.foreign:
		return credentialsBelow
	case w.varied != "":
		return setBelow + w.varied
	}
	return ""
}

// keepApart has the waiters of the fetch ask by themselves, and the next requests for the key not wait at all.
func (x *exchange) keepApart() {
	switch {
	case x.inflight != nil:
		x.inflight.misattributed = true
	case x.ownKey != "":
		x.cache.fetches.setHitForMiss(x.ownKey, true)
	}
}
