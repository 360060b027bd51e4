package benchmarks

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"

	bartventercache "github.com/bartventer/httpcache"
	bartventerstore "github.com/bartventer/httpcache/store"
	"github.com/bartventer/httpcache/store/driver"
	"github.com/failsafe-go/failsafe-go/cachepolicy"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/gregjones/httpcache"
	lru "github.com/hashicorp/golang-lru/v2"
	sandrolaincache "github.com/sandrolain/httpcache"

	"github.com/plyhttp/ply/middleware/cache"
)

// kept is how many answers the stores hold that are to be full.
const kept = 64

// contender is one that is measured.
type contender struct {
	name  string
	mount func(testing.TB, *origin) http.RoundTripper

	adds      int // fields, to a hit
	caches    bool
	validates bool // it asks the origin whether a stale answer is still good
	separates bool // it keeps several variants of one URL
	collapses bool // it asks the origin once for all who want the same at one time
}

var (
	transport  = contender{name: "transport", mount: bare}
	floor      = contender{name: "floor", mount: mountFloor, caches: true}
	ply        = contender{name: "ply", mount: mountPly, adds: 2, caches: true, validates: true, separates: true, collapses: true}
	gregjones  = contender{name: "gregjones httpcache", mount: mountGregjones, adds: 1, caches: true, validates: true}
	bartventer = contender{name: "bartventer httpcache", mount: mountBartventer, adds: 3, caches: true, validates: true, separates: true}
	sandrolain = contender{name: "sandrolain httpcache", mount: mountSandrolain, adds: 6, caches: true, validates: true}
	failsafe   = contender{name: "failsafe-go", mount: mountFailsafe, caches: true}

	// plyFull is ply with a store that holds as much as the peers' do.
	plyFull = contender{name: "ply", mount: mountFullPly, adds: 2, caches: true, validates: true, separates: true, collapses: true}

	// byHand is what one writes without a library for HTTP caching.
	byHand = contender{name: "golang-lru by hand", mount: mountByHand, caches: true}

	contenders = []contender{transport, floor, ply, plyFull, gregjones, bartventer, sandrolain, failsafe, byHand}
)

func bare(_ testing.TB, o *origin) http.RoundTripper { return o }

// mountPly mounts what the zero Options make: a private cache with the default key.
func mountPly(tb testing.TB, o *origin) http.RoundTripper { return mountPlyOf(tb, o, cache.Options{}) }

func mountFullPly(tb testing.TB, o *origin) http.RoundTripper {
	return mountPlyOf(tb, o, cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxEntries: kept, MaxBytes: 256 << 20})})
}

func mountPlyOf(tb testing.TB, o *origin, options cache.Options) http.RoundTripper {
	tb.Helper()
	return newPly(tb, options).Middleware(o)
}

func newPly(tb testing.TB, options cache.Options) *cache.Cache {
	tb.Helper()
	c, err := cache.New(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// latest is a map that holds the latest values: the peers bring no store with a bound.
type latest[V any] struct {
	mu     sync.RWMutex // guards the fields below
	values map[string]V
	keys   []string // in the order of their arrival, the oldest one at next once it is full
	next   int
}

func newLatest[V any]() *latest[V] { return &latest[V]{values: make(map[string]V)} }

func (l *latest[V]) Get(key string) (V, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	v, ok := l.values[key]
	return v, ok
}

func (l *latest[V]) Set(key string, v V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.values[key]
	l.values[key] = v
	switch {
	case known:
	case len(l.keys) < kept:
		l.keys = append(l.keys, key)
	default:
		delete(l.values, l.keys[l.next])
		l.keys[l.next] = key
		l.next = (l.next + 1) % kept
	}
}

// Delete leaves the key in the order: it comes up when a later one needs its place.
func (l *latest[V]) Delete(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.values, key)
}

func mountGregjones(_ testing.TB, o *origin) http.RoundTripper {
	return &httpcache.Transport{Transport: o, Cache: newLatest[[]byte](), MarkCachedResponses: true}
}

// conn is the store of bartventer/httpcache, whose own one in memory has no bound.
type conn struct{ *latest[[]byte] }

func (c conn) Get(key string) ([]byte, error) {
	value, ok := c.latest.Get(key)
	if !ok {
		return nil, driver.ErrNotExist
	}
	return value, nil
}

func (c conn) Set(key string, value []byte) error {
	c.latest.Set(key, value)
	return nil
}

func (c conn) Delete(key string) error {
	c.latest.Delete(key)
	return nil
}

var registerConn = sync.OnceFunc(func() {
	bartventerstore.Register("latest", driver.DriverFunc(func(*url.URL) (driver.Conn, error) { return conn{newLatest[[]byte]()}, nil }))
})

func mountBartventer(_ testing.TB, o *origin) http.RoundTripper {
	registerConn()
	return bartventercache.NewTransport("latest://", bartventercache.WithUpstream(o))
}

func mountSandrolain(_ testing.TB, o *origin) http.RoundTripper {
	return &sandrolaincache.Transport{Transport: o, Cache: newLatest[[]byte](), MarkCachedResponses: true}
}

// answer is a response as failsafe-go's user must keep it.
type answer struct {
	response http.Response
	body     []byte
}

// answers is the store for failsafe-go's policy, which keeps what it is given and hands it out again: the same response, whose body
// the first caller has consumed. So it is the store that reads the body, and copies the header for each caller.
type answers struct {
	kept interface {
		Get(key string) (*answer, bool)
		Set(key string, a *answer)
	}
}

func (a answers) Get(key string) (*http.Response, bool) {
	kept, ok := a.kept.Get(key)
	if !ok {
		return nil, false
	}
	resp := kept.response
	resp.Header = resp.Header.Clone()
	resp.Body = io.NopCloser(bytes.NewReader(kept.body))
	return &resp, true
}

func (a answers) Set(key string, resp *http.Response) {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return
	}
	kept := &answer{response: *resp, body: body}
	kept.response.Header = resp.Header.Clone()
	a.kept.Set(key, kept)
}

// mountFailsafe mounts failsafe-go's policy; it finds its key, the URL, in the context of a request.
func mountFailsafe(_ testing.TB, o *origin) http.RoundTripper {
	return failsafehttp.NewRoundTripper(o, cachepolicy.New[*http.Response](answers{newLatest[*answer]()}))
}

// mountByHand puts answers into an LRU cache under their URLs. It checks nothing, like the floor.
func mountByHand(tb testing.TB, o *origin) http.RoundTripper {
	tb.Helper()
	kept, err := lru.New[string, *answer](10_000)
	if err != nil {
		tb.Fatal(err)
	}
	store := answers{byRecency{kept}}
	return handler(func(r *http.Request) (*http.Response, error) {
		key := r.URL.String()
		if resp, ok := store.Get(key); ok {
			resp.Request = r
			return resp, nil
		}
		resp, err := o.RoundTrip(r)
		if err == nil {
			store.Set(key, resp)
		}
		return resp, err
	})
}

// byRecency is an LRU cache that can be set.
type byRecency struct{ *lru.Cache[string, *answer] }

func (b byRecency) Set(key string, a *answer) { b.Add(key, a) }

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// lookup is the least that a cache in memory must do for a hit: find the answer, make a Response with its body, and a header
// that the caller may change in place. It checks nothing: neither freshness nor variants, directives or the full key.
type lookup struct {
	next  http.RoundTripper
	mu    sync.RWMutex // guards pages
	pages map[string]*template
}

// template is what a hit is made from.
type template struct {
	response http.Response
	names    []string
	values   []string
	body     []byte
}

// copied is a response with its body and the values of its fields in one allocation.
type copied struct {
	http.Response
	reader rest
	values [16]string
}

// rest is a stored body of which the beginning has been read.
type rest struct{ bytes []byte }

func (r *rest) Read(p []byte) (int, error) {
	if len(r.bytes) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.bytes)
	r.bytes = r.bytes[n:]
	return n, nil
}

func (r *rest) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.bytes)
	r.bytes = r.bytes[n:]
	return int64(n), err
}

func (r *rest) Close() error { return nil }

func mountFloor(_ testing.TB, o *origin) http.RoundTripper {
	return floorOver(o)
}

func floorOver(next http.RoundTripper) http.RoundTripper {
	return &lookup{next: next, pages: make(map[string]*template)}
}

func (l *lookup) RoundTrip(r *http.Request) (*http.Response, error) {
	var buffer [256]byte
	key := append(append(buffer[:0], r.URL.Host...), r.URL.Path...)
	l.mu.RLock()
	t := l.pages[string(key)]
	l.mu.RUnlock()
	if t == nil {
		return l.fetch(string(key), r)
	}
	hit := &copied{Response: t.response}
	hit.Request = r
	header := make(http.Header, len(t.names)) // maps.Clone is no way: with eight fields, each write to the copy makes it grow
	copy(hit.values[:], t.values)
	for i, name := range t.names {
		header[name] = hit.values[i : i+1 : i+1]
	}
	hit.Header, hit.reader.bytes, hit.Body = header, t.body, &hit.reader
	return &hit.Response, nil
}

func (l *lookup) fetch(key string, r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	t := &template{response: *resp}
	t.response.Header = resp.Header.Clone()
	if t.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	for name, values := range resp.Header {
		t.names, t.values = append(t.names, name), append(t.values, values[0])
	}
	l.mu.Lock()
	l.pages[key] = t
	l.mu.Unlock()
	resp.Body = &rest{t.body}
	return resp, nil
}
