package cache

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/target"
)

// layer is a cache's place in one chain.
type layer struct {
	cache *Cache
	next  http.RoundTripper
	below func() *connection.Chain // what next ends in; it is looked at once, with the first request
}

// LayerName returns "cache".
func (l *layer) LayerName() string { return "cache" }

// LayerID returns the cache, which must not stand in one chain twice.
func (l *layer) LayerID() any { return l.cache }

// Unwrap returns the next handler.
func (l *layer) Unwrap() http.RoundTripper { return l.next }

// WrappedRoundTripper returns it, too, for Kubernetes.
func (l *layer) WrappedRoundTripper() http.RoundTripper { return l.next }

// CloseIdleConnections closes those of the next handler.
func (l *layer) CloseIdleConnections() {
	if next, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// keys are buffers for keys.
var keys = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// putKey gives a buffer back, unless a long URL has made it large.
func putKey(buffer *[]byte) {
	if cap(*buffer) <= 16<<10 {
		keys.Put(buffer)
	}
}

// RoundTrip answers from the store if it may, and else asks the next handler.
func (l *layer) RoundTrip(r *http.Request) (*http.Response, error) {
	c := l.cache
	if r.URL == nil {
		return l.next.RoundTrip(r)
	}
	var a ask
	c.read(&a, r, l.below())
	if c.closed.Load() || c.off.Load() {
		a.keepOut(switchedOff, ForwardBypass)
	}
	if a.bypass != "" {
		return l.exchange(r, &a, nil, found{}, time.Now()).act(a.bypassed())
	}
	var room [keyRoom]byte
	key := c.anonymousKey(room[:0], &a, r)
	if key == nil {
		buffer := keys.Get().(*[]byte)
		defer putKey(buffer)
		var err error
		if *buffer, err = c.appendKey((*buffer)[:0], r, a.path); err != nil {
			a.keepOut("no key: "+err.Error(), ForwardBypass)
			return l.exchange(r, &a, nil, found{}, time.Now()).act(a.bypassed())
		}
		key = *buffer
	}
	now := time.Now()
	var f found
	c.find(&f, &a, key, r, now)
	d := decide(&a, &f, now)
	var resp *http.Response
	var err error
	if d.action == serve {
		resp = c.serve(&a, f.entry, r, now, d.detail)
	} else {
		resp, err = l.exchange(r, &a, key, f, now).act(d)
	}
	if c.durable != nil && resp != nil {
		goesOn(resp, r, l.next)
	}
	return resp, err
}

// read reads a request, and what the contexts around it have chosen.
func (c *Cache) read(a *ask, r *http.Request, below *connection.Chain) {
	in := reqctx.From(r.Context())
	choices := chosen(in)
	a.path, a.principal, a.traced = connection.PathOf(below, in).For(r.URL.Scheme), in.Principal, len(choices.traces) > 0
	a.read(choices.effective(), r, &c.posture)
	c.keepOutUnsafe(a, r)
	if c.durable != nil && a.bypass == "" {
		if why := a.path.Unnamed(); why != "" {
			a.keepOut(unnamed+why, ForwardBypass)
		}
	}
}

// unnamed begins the reason for which answers stay out of a store that outlives the process, or that others read: the name of their connection
// would mean something else there.
const unnamed = "no name for the connection: "

// keyRoom is room for the key of most requests, on the stack.
const keyRoom = 256

// anonymousKey appends the primary key of a GET without credentials, if the strategy has a short way to it. Otherwise it returns nil.
func (c *Cache) anonymousKey(dst []byte, a *ask, r *http.Request) []byte {
	if !c.byURI || a.credentials || r.Method != http.MethodGet {
		return nil
	}
	dst = append(appendPrincipal(a.path.Append(dst), a.principal), 0)
	return append(target.AppendURI(dst, r), c.anonymous...)
}

// appendKey appends the primary key: the connection, the named principal, the class of the method, what the strategy makes of the request,
// and the content of a request with content, unless the strategy has seen to it (RFC 9111 §2, RFC 10008 §2.7).
func (c *Cache) appendKey(dst []byte, r *http.Request, by connection.Path) ([]byte, error) {
	return c.appendKeyBy(dst, r, by, c.key.AppendKey)
}

// appendKeyBy is appendKey with what a strategy appends.
func (c *Cache) appendKeyBy(dst []byte, r *http.Request, by connection.Path, strategy func([]byte, *http.Request) ([]byte, error)) ([]byte, error) {
	dst = appendPrincipal(by.Append(dst), reqctx.From(r.Context()).Principal)
	content := false
	switch r.Method {
	case "", http.MethodGet, http.MethodHead:
		dst = append(dst, 0)
	default:
		dst, content = target.Append(dst, r.Method), !c.keysContent
	}
	dst, err := strategy(dst, r)
	if err != nil || !content {
		return dst, err
	}
	return c.content.AppendPart(dst, r)
}

// find looks for a stored response: under the request's own key first, then among those that do not vary on the whole query.
func (c *Cache) find(f *found, a *ask, key []byte, r *http.Request, now time.Time) {
	ctx := r.Context()
	if c.durable != nil {
		limited, cancel := c.within(ctx)
		defer cancel()
		ctx = limited
	}
	f.why = ForwardURIMiss
	if f.set, f.seen = c.load(ctx, r, key); f.set != nil {
		f.why = ForwardVary
		f.entry = f.set.choose(a, r, c.secret())
	}
	if f.entry == nil && c.searches.Load() && (c.durable == nil || f.seen != nil) {
		if alike := c.findAlike(ctx, a, r); alike.entry != nil {
			*f = alike
		}
	}
	if f.entry != nil && c.picky && !c.admits(r, f.entry) {
		*f = found{why: ForwardMiss, seen: f.seen}
	}
	if f.entry != nil && !f.entry.body.here() {
		c.fetchBody(ctx, a, f, now)
	}
}

// findAlike looks for a response to a request with another query, where the difference does not count (No-Vary-Search).
func (c *Cache) findAlike(ctx context.Context, a *ask, r *http.Request) found {
	key, err := c.searchKey(r, a.path)
	if err != nil {
		return found{}
	}
	set, seen := c.load(ctx, r, key)
	if set == nil {
		return found{}
	}
	return found{entry: set.choose(a, r, c.secret()), set: set, key: string(key), seen: seen}
}

// searchKey is the key under which responses stand that do not vary on the whole query. Who asks stays in it, where the query says that, too:
// a strategy is asked about the request as it was sent, unless it says itself what it makes of the URL, and parameters whose names say that they are secret count always.
func (c *Cache) searchKey(r *http.Request, by connection.Path) ([]byte, error) {
	return c.appendKeyBy([]byte("search"), r, by, func(dst []byte, r *http.Request) ([]byte, error) {
		dst = credential.AppendQuery(dst, queryOf(r))
		if s, ok := c.key.(interface {
			AppendSearchKey(dst []byte, bare, r *http.Request) ([]byte, error)
		}); ok {
			return s.AppendSearchKey(dst, withoutQuery(r), r)
		}
		return c.key.AppendKey(dst, r)
	})
}

// admits tells whether the user's own conditions allow a stored response, which they may not have when it was stored.
func (c *Cache) admits(r *http.Request, e *Entry) bool {
	if !c.posture.allowsStatus(e.status) {
		return false
	}
	return c.filter == nil || c.filter(r, e.shown(r, e.body.size()))
}

// shown is a response as the user's conditions see it: without its body.
func (e *Entry) shown(r *http.Request, length int64) *http.Response {
	return &http.Response{
		Status: e.reason, StatusCode: e.status, Proto: e.proto, ProtoMajor: e.major, ProtoMinor: e.minor,
		Header: e.header.Clone(), ContentLength: length, Body: http.NoBody, Request: r,
	}
}

// load asks the store. A store that fails has nothing.
func (c *Cache) load(ctx context.Context, r *http.Request, key []byte) (*variants, *sight) {
	if c.memory != nil {
		return c.memory.get(key), nil
	}
	set, seen, err := c.durable.get(ctx, string(key), r)
	c.fault(ctx, "get", err)
	return set, seen
}

// serve answers from the store.
func (c *Cache) serve(a *ask, e *Entry, r *http.Request, now time.Time, detail string) *http.Response {
	if r.Body != nil {
		r.Body.Close()
	}
	c.stats.hits.cell().Add(1)
	used := e.used.Load()
	e.touch(now)
	if c.durable != nil {
		c.durable.touch(e, time.Unix(0, used), now)
	}
	age := e.age(now)
	left := e.leftAt(age, now)
	if left <= 0 {
		c.stats.stale.Add(1)
	}
	plain := left > 0 && detail == ""
	if !plain || c.trace != nil || a.traced {
		s := Status{Hit: true, TTL: ttl(left), HasTTL: true, Detail: detail}
		c.answered(r, s)
		if !plain {
			return answer(a, e, r, now, s.String())
		}
	}
	s := e.stamped(age, left)
	return e.shapedResponse(r, a.head, s.age, s.status, shaped(a, e, now))
}

// answer makes the response to r from a stored one.
func answer(a *ask, e *Entry, r *http.Request, now time.Time, status string) *http.Response {
	age := strconv.FormatInt(int64(e.age(now)/time.Second), 10)
	return e.shapedResponse(r, a.head, age, status, shaped(a, e, now))
}
