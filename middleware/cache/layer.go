package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/record"
	"github.com/plyhttp/ply/internal/scope"
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
	in := scope.Of(r.Context())
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
	dst = appendPrincipal(by.Append(dst), scope.Of(r.Context()).Principal)
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

// exchange is one request that the store alone could not answer.
type exchange struct {
	*layer
	request  *http.Request
	ask      ask
	own      string // the request's own key
	foundIn  string // the key that set is stored under
	key      string // the key that the answer is stored under; the same, as long as nothing else is known
	now      time.Time
	set      *variants    // what is stored under key
	selected *Entry       // the variant that fits, or nil
	updated  *Entry       // the one that the origin has confirmed, or nil
	seen     *sight       // the marks at the time of the lookup
	stored   bool         // the store has taken what came of it
	behind   bool         // the caller has its answer already
	sent     http.Request // a conditional one that was sent
	tags     []tag        // what knownTags has returned
	watch    *watch       // on what was sent last, or nil

	flight   *flight    // that this exchange is, or nil if nobody else shares it
	failures int        // exchanges of others that this one has waited for in vain, because the origin is in trouble
	probing  bool       // it goes on by itself, as one of a few
	unshared bool       // it goes on by itself, as answers for its key are not for several
	sounding bool       // it does so after it has waited in vain for an origin in trouble
	known    []selector // of answers to other requests that this one has waited for
	putting  bool       // a byte store is taking the answer in, and landed will be called
	landed   func()     // called when others find the answer in the store, or will not; nil for nobody
}

func (l *layer) exchange(r *http.Request, a *ask, key []byte, f found, now time.Time) *exchange {
	x := &exchange{layer: l, request: r, ask: *a, own: string(key), now: now, set: f.set, selected: f.entry, seen: f.seen}
	x.lies(f.key)
	return x
}

// lies notes where what was found lies: under a key of its own, or under the request's.
func (x *exchange) lies(key string) {
	if key == "" {
		key = x.own
	}
	x.foundIn, x.key = key, key
}

// knownTags are those that can be told of the answer before it is there.
func (x *exchange) knownTags() []tag {
	if x.tags == nil {
		x.tags = x.cache.knownTags(x.request)
	}
	return x.tags
}

func (x *exchange) act(d decision) (*http.Response, error) {
	switch d.action {
	case serveStale:
		x.refreshBehind()
		return x.cache.serve(&x.ask, x.selected, x.request, x.now, d.detail), nil
	case refuse:
		return x.refused(d), nil
	}
	if x.collapses() {
		return x.collapse(d)
	}
	return x.alone(d)
}

// alone asks the origin.
func (x *exchange) alone(d decision) (*http.Response, error) {
	switch d.action {
	case validate:
		return x.validate(d)
	case complete:
		return x.complete(d)
	}
	return x.forward(d)
}

// refused is the answer when only the store was allowed and cannot help (RFC 9111 §5.2.1.7).
func (x *exchange) refused(d decision) *http.Response {
	if x.request.Body != nil {
		x.request.Body.Close()
	}
	s := Status{Detail: d.detail}
	x.cache.stats.misses.Add(1)
	x.cache.answered(x.request, s)
	return &http.Response{
		Status: "504 Gateway Timeout", StatusCode: http.StatusGatewayTimeout,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{cacheStatus: {s.String()}, "Content-Length": {"0"}},
		Request: x.request, Body: http.NoBody,
	}
}

// forward sends the request as it is.
func (x *exchange) forward(d decision) (*http.Response, error) {
	return x.send(x.request, d)
}

// validate asks the origin whether what is stored is still good. If it is not, the request may have to be sent once more.
// What was found may be gone by now, if the store was looked into again.
func (x *exchange) validate(d decision) (*http.Response, error) {
	if !replayable(x.request) || x.set == nil {
		return x.forward(d.fetching())
	}
	x.sent = *x.request
	x.sent.Header = conditionalHeader(x.request.Header, x.selected, x.set.entries, &x.ask)
	return x.send(&x.sent, d)
}

// complete asks the origin for the bytes that a stored part lacks (RFC 9111 §3.3).
func (x *exchange) complete(d decision) (*http.Response, error) {
	if !replayable(x.request) || x.selected == nil || x.selected.part == nil {
		return x.forward(d.fetching())
	}
	r := *x.request
	r.Header = completingHeader(x.request.Header, x.selected)
	return x.send(&r, d)
}

// send does one exchange with the origin and takes in what comes back.
func (x *exchange) send(r *http.Request, d decision) (*http.Response, error) {
	p := &reply{exchange: x, began: x.cache.events.now(), requested: time.Now()}
	r = x.watched(target.OnWire(r))
	resp, err := x.next.RoundTrip(r)
	x.watch.look(r, resp)
	if x.misattributed() {
		x.keepApart()
	}
	if err == nil && resp == nil {
		err = errNoResponse
	}
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		return x.failed(d, err)
	}
	p.Response, p.received, p.followed = resp, time.Now(), followed(resp, r)
	p.apart = x.apart(resp)
	resp.Request = x.request
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	handled := false
	defer func() {
		if !handled { // a filter, a strategy or a hook has panicked, and nobody gets the response
			resp.Body.Close()
		}
	}()
	answer, err := p.handle(d)
	handled = true
	return answer, err
}

// errNoResponse blames a handler that breaks the contract of http.RoundTripper.
var errNoResponse = errors.New("cache: the next handler returned neither a response nor an error")

// failed answers a request for which the origin could not be reached.
func (x *exchange) failed(d decision, err error) (*http.Response, error) {
	if x.flight != nil {
		x.flight.failed = err
	} else if x.own != "" {
		x.cache.flights.doubt(x.own)
	}
	if x.request.Context().Err() != nil {
		if stale := x.overdue(d); stale != nil {
			return stale, nil
		}
	} else if unreachable(err) {
		if stale := x.insteadOf(d, 0, true); stale != nil {
			return stale, nil
		}
	}
	x.report(told{counter: &x.cache.stats.errors})
	return nil, err
}

// overdue returns the stored response that stands in for an answer which has not come by the caller's deadline, or nil:
// to its caller such an origin is one that cannot be reached (RFC 5861 §4). One who has gone of his own accord wants nothing.
func (x *exchange) overdue(d decision) *http.Response {
	if !errors.Is(x.request.Context().Err(), context.DeadlineExceeded) {
		return nil
	}
	return x.insteadOf(d, 0, true)
}

// report counts and reports how the exchange has ended: at once, or, if its caller may have left, when it is delivered.
func (x *exchange) report(t told) {
	if x.flight != nil {
		x.flight.told = t
		return
	}
	t.tell(x)
}

// insteadOf returns the stored response that may stand in for a failed exchange, or nil.
func (x *exchange) insteadOf(d decision, status int, unreachable bool) *http.Response {
	if x.behind || x.ask.bypass != "" || x.misattributed() {
		return nil
	}
	now := time.Now()
	why, ok := onError(&x.ask, x.selected, unreachable, &x.cache.posture, now)
	if !ok {
		return nil
	}
	s := Status{Fwd: d.fwd, FwdStatus: status, TTL: x.selected.ttl(now), HasTTL: true, Detail: cachestatus.ServedInstead + why}
	x.report(told{counter: x.cache.stats.of(s), stale: s.TTL <= 0, status: s})
	resp := answer(&x.ask, x.selected, outliving(x.request), now, s.String())
	resp.Request = x.request
	return resp
}

// outliving returns r, or a request without an end if the deadline of r has passed: the pieces of a large body come after it.
func outliving(r *http.Request) *http.Request {
	if errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		return r.WithContext(context.WithoutCancel(r.Context()))
	}
	return r
}

// refreshBehind validates the selected response on a goroutine of its own, which the caller's cancellation does not end.
func (x *exchange) refreshBehind() {
	c := x.cache
	if x.ask.mode == ReadOnly {
		return // what it brings could not be kept
	}
	r := x.request.Clone(record.Behind(context.WithoutCancel(x.request.Context())))
	if rewind(r) != nil {
		return
	}
	withoutCancel(r)
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "Range", "If-Range"} {
		deleteFold(r.Header, name)
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	behind := *x
	behind.behind = true
	behind.ask = newAsk(modeOf(r.Context()), r, &c.posture)
	behind.ask.path, behind.ask.principal = x.ask.path, x.ask.principal
	started := c.flights.start(x.own, x.key, func() {
		ctx, cancel := context.WithTimeout(r.Context(), c.refresh)
		defer cancel()
		defer context.AfterFunc(c.flights.ctx, cancel)()
		behind.request = r.WithContext(ctx)
		behind.refresh()
	})
	if !started && r.Body != nil {
		r.Body.Close()
	}
}

// refresh fetches or validates, and tells about it. Nobody is there whom a panic could reach: it is an error of the refresh,
// and one in the hook that hears of that error is dropped.
func (x *exchange) refresh() {
	defer func() { recover() }()
	err := x.fetchBehind()
	x.cache.traces(x.request.Context(), func(t *Trace) {
		if t.Refreshed != nil {
			t.Refreshed(x.request, err)
		}
	})
	if err != nil || x.failures > 0 {
		x.rest()
	}
}

// refreshPause is how long a refresh that failed keeps others of its key from being tried.
const refreshPause = 250 * time.Millisecond

// rest waits that long: an origin in trouble is not asked again by whoever is served something stale next.
func (x *exchange) rest() {
	pause := time.NewTimer(refreshPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-x.request.Context().Done():
	}
}

// fetchBehind reads the body to its end if it is to be stored.
func (x *exchange) fetchBehind() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("cache: a refresh has panicked: %v", v)
		}
	}()
	x.cache.traces(x.request.Context(), func(t *Trace) {
		if t.Refreshing != nil {
			t.Refreshing(x.request)
		}
	})
	d := decision{action: validate, fwd: ForwardStale}
	if !x.selected.hasValidator() {
		d.action = fetch
	}
	resp, err := x.act(d)
	if err == errElsewhere {
		x.cache.leases.skip(x.request.Context())
		return nil
	}
	if err != nil {
		return err
	}
	if inTrouble(resp.StatusCode) {
		x.failures++
	}
	defer resp.Body.Close()
	defer context.AfterFunc(x.request.Context(), func() { aside(func() { resp.Body.Close() }) })() // a body need not know of the context
	if _, recorded := resp.Body.(interface{ recording() bool }); recorded {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, x.cache.maxEntry+1))
	}
	return err
}

// replayable tells whether a request can be sent again.
func replayable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// rewind replaces a body that has been sent, or that someone else will send.
func rewind(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if !replayable(r) {
		return errors.New("cache: the request must be sent again, and its body cannot: set GetBody")
	}
	body, err := r.GetBody()
	if err != nil {
		return fmt.Errorf("cache: the request must be sent again: %w", err)
	}
	r.Body = body
	return nil
}

// followed tells whether a handler below has followed a redirect: then the answer belongs to another URI than the one asked for.
func followed(resp *http.Response, sent *http.Request) bool {
	r := resp.Request
	return r != nil && r != sent && r.Response != nil && r.URL != nil && uriTag(r) != uriTag(sent)
}
