package cache_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

var (
	soakFor  = flag.Duration("soak", time.Second, "for how long TestSoakAnswersEqualTheOrigins sends random traffic")
	soakSeed = flag.Uint64("seed", 0, "where TestSoakAnswersEqualTheOrigins begins; 0 for somewhere")
)

// Random traffic, random faults of the origin, random behaviour of the callers. Each answer is compared with the one that the origin gives when it is asked directly:
// never a wrong body, never one that is older than what an invalidation has left, never an error that neither the origin nor the caller has caused.
//
//	go test ./middleware/cache -run TestSoakAnswersEqualTheOrigins -soak 10m -seed 42
func TestSoakAnswersEqualTheOrigins(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	var sum cache.Stats
	start := time.Now()
	for round := 1; !t.Failed(); round++ {
		synctest.Test(t, func(t *testing.T) { soak(t, seed, round, &sum) })
		if t.Failed() {
			t.Logf("it failed with -seed %d", seed)
		}
		if seed++; round >= 3 && time.Since(start) > *soakFor {
			break
		}
	}
	t.Logf("%+v", sum)
	if sum.Hits == 0 || sum.Revalidated == 0 || sum.Collapsed == 0 || sum.Errors == 0 {
		t.Errorf("the traffic did not reach everything: %+v", sum)
	}
}

func soak(t *testing.T, seed uint64, round int, sum *cache.Stats) {
	before, _ := os.ReadDir("/proc/self/fd")
	origin := &fickle{rng: rand.New(rand.NewPCG(seed, 1)), versions: make(map[string]int), floors: make(map[string]int)}
	rng := rand.New(rand.NewPCG(seed, 2))
	memory := cache.NewMemory(cache.MemoryOptions{MaxEntries: 6})
	options := cache.Options{
		Store:         memory,
		MaxEntryBytes: 64 << 10, MaxInFlightBytes: int64(1+rng.IntN(20)) * 64 << 10, Shared: rng.IntN(4) == 0, NoCollapse: round%8 == 0,
	}
	switch round % 3 {
	case 2:
		options.Store = storetest.NewMap(256 << 10)
	case 0:
		options.Store = cache.Tiered(memory, storetest.NewMap(256<<10))
	}
	var ended, upset atomic.Int64 // requests of callers, and refreshes behind their backs; those that have panicked are counted if that was in the body
	options.Trace = &cache.Trace{Refreshed: func(_ *http.Request, err error) {
		if err != nil && strings.Contains(err.Error(), "panicked") {
			upset.Add(1)
			return
		}
		ended.Add(1)
	}}
	c, err := cache.New(options)
	require.NoError(t, err)
	rt := c.Middleware(origin)
	var wg sync.WaitGroup
	for worker := range 60 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(worker)+3))
			for range 15 {
				(&caller{T: t, rng: rng, rt: rt, origin: origin, ended: &ended}).call()
			}
		})
	}
	wg.Wait()
	synctest.Wait()
	c.Close()
	nothingInFlight(t, c)
	s := c.Stats()
	if counted := s.Hits + s.Misses + s.Revalidated + s.Bypassed + s.Errors; counted < ended.Load() || counted > ended.Load()+upset.Load() {
		t.Errorf("%d requests have ended, %d refreshes have panicked, %d are counted: %+v", ended.Load(), upset.Load(), counted, s)
	}
	if origin.open != 0 || s.Entries > 6 {
		t.Errorf("%d bodies left open, %d entries", origin.open, s.Entries)
	}
	if after, _ := os.ReadDir("/proc/self/fd"); len(after) > len(before)+2 {
		t.Errorf("%d file descriptors, %d before", len(after), len(before))
	}
	sum.Hits += s.Hits
	sum.Stale += s.Stale
	sum.Misses += s.Misses
	sum.Revalidated += s.Revalidated
	sum.Bypassed += s.Bypassed
	sum.Collapsed += s.Collapsed
	sum.Errors += s.Errors
	sum.Stored += s.Stored
	sum.Invalidated += s.Invalidated
	sum.Evicted += s.Evicted
}

// fickle is an origin that answers rightly, slowly, by halves, wrongly or not at all, by chance. What the answer is, it knows for certain:
// each resource has a version, which a POST advances.
type fickle struct {
	mu       sync.Mutex // guards the fields below
	rng      *rand.Rand
	versions map[string]int // now, by path
	floors   map[string]int // of the latest POST that has been answered to its caller
	open     int            // bodies
}

// fault is an error that the origin has caused.
type fault struct {
	key string // of the requests that it may reach
	at  time.Time
}

func (f *fault) Error() string { return "a fault of the origin for " + f.key }

// keyOf names all that an answer depends on but the version.
func keyOf(r *http.Request) string {
	key := r.URL.Path
	if strings.Contains(r.URL.Path, "varies") {
		key += " in " + r.Header.Get("Accept-Language")
	}
	if strings.Contains(r.URL.Path, "personal") {
		key += " for " + r.Header.Get("Authorization")
	}
	return key
}

// faultOf names all that an error depends on. That an answer will vary is not known before it is there.
func faultOf(r *http.Request) string {
	if strings.Contains(r.URL.Path, "personal") {
		return r.URL.Path + " for " + r.Header.Get("Authorization")
	}
	return r.URL.Path
}

// whole is the body of a version: the answer that the origin gives when nothing goes wrong.
func whole(r *http.Request, version int) string {
	size := 10 + version*997%3000
	if strings.Contains(r.URL.Path, "large") {
		size = 100<<10 + version*997%(64<<10)
	}
	return sealed(keyOf(r), version, size)
}

func (f *fickle) chance(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rng.IntN(n)
}

// now is the version of a resource, and, after a POST, the next one.
func (f *fickle) now(path string, advance bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if advance {
		f.versions[path]++
	}
	return f.versions[path]
}

func (f *fickle) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	if err := pause(r.Context(), f.chance(50)); err != nil {
		return nil, err
	}
	broken := func() *fault { return &fault{faultOf(r), time.Now()} }
	switch f.chance(25) {
	case 0:
		return nil, broken()
	case 1:
		panic(broken())
	case 2:
		return reply(503, "down"), nil
	case 3:
		if err := pause(r.Context(), 5000); err != nil {
			return nil, err
		}
	}
	version := f.now(r.URL.Path, r.Method == "POST")
	resp := f.answer(r, version)
	if resp.Body == http.NoBody || r.Method == "HEAD" {
		resp.Body = http.NoBody
		return resp, nil
	}
	text, _ := io.ReadAll(resp.Body)
	body := &fitful{ctx: r.Context(), origin: f, rest: text, breaks: -1, fault: broken, pieces: f.chance(3)}
	if f.chance(10) == 0 {
		body.breaks = f.chance(len(text) + 1)
	}
	if f.chance(3) == 0 {
		resp.ContentLength = -1
	}
	f.mu.Lock()
	f.open++
	f.mu.Unlock()
	resp.Body = body
	context.AfterFunc(r.Context(), func() { body.Close() }) // as a connection ends with its request
	return resp, nil
}

// answer is what the origin says about a version.
func (f *fickle) answer(r *http.Request, version int) *http.Response {
	body, tag := whole(r, version), fmt.Sprintf(`"%x-%d"`, keyOf(r), version)
	control := fmt.Sprintf("Cache-Control: max-age=%d, stale-while-revalidate=2, stale-if-error=5", f.chance(4))
	switch {
	case strings.Contains(r.URL.Path, "private"):
		control = "Cache-Control: no-store"
	case strings.Contains(r.URL.Path, "checked"):
		control = "Cache-Control: no-cache"
	}
	fields := []string{control, "Date: " + time.Now().UTC().Format(http.TimeFormat)}
	if !strings.Contains(r.URL.Path, "untagged") {
		fields = append(fields, "Etag: "+tag)
	}
	if strings.Contains(r.URL.Path, "varies") {
		fields = append(fields, "Vary: Accept-Language")
	}
	if strings.Contains(r.URL.Path, "personal") {
		fields = append(fields, "Vary: Authorization")
	}
	tagged := !strings.Contains(r.URL.Path, "untagged")
	if tagged && strings.Contains(r.Header.Get("If-None-Match"), tag) {
		return reply(304, "", fields...)
	}
	var first, last int
	n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
	if ifRange := r.Header.Get("If-Range"); n > 0 && first < len(body) && (ifRange == "" || tagged && ifRange == tag) {
		if n == 1 || last >= len(body) {
			last = len(body) - 1
		}
		return reply(206, body[first:last+1], append(fields, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(body)))...)
	}
	return reply(200, body, fields...)
}

// pause waits for up to so many milliseconds.
func pause(ctx context.Context, milliseconds int) error {
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fitful is a body in pieces of all sizes, with pauses, which may break off.
type fitful struct {
	ctx    context.Context
	origin *fickle
	rest   []byte
	breaks int // after so many bytes; -1 for not at all
	fault  func() *fault
	pieces int

	once sync.Once
}

func (f *fitful) Read(p []byte) (int, error) {
	if f.origin.chance(4) == 0 {
		if err := pause(f.ctx, f.origin.chance(100)); err != nil {
			return 0, err
		}
	}
	switch {
	case f.breaks == 0 && f.origin.chance(8) == 0:
		panic(f.fault())
	case f.breaks == 0:
		return 0, f.fault()
	case len(f.rest) == 0:
		return 0, io.EOF
	}
	n := len(f.rest)
	if f.pieces > 0 {
		n = min(n, 1+f.origin.chance([]int{1, 1000, 30000}[f.pieces]))
	}
	if n = copy(p, f.rest[:n]); f.breaks > 0 {
		n = min(n, f.breaks)
		f.breaks -= n
	}
	f.rest = f.rest[n:]
	return n, nil
}

func (f *fitful) Close() error {
	f.once.Do(func() {
		f.origin.mu.Lock()
		defer f.origin.mu.Unlock()
		f.origin.open--
	})
	return nil
}

// caller makes one call and judges what comes of it.
type caller struct {
	*testing.T
	rng    *rand.Rand
	rt     http.RoundTripper
	origin *fickle
	ended  *atomic.Int64

	request *http.Request
	start   time.Time
	floor   int // the version that it must get at least
}

var soakPaths = []string{"/a", "/a", "/a", "/a", "/varies", "/personal", "/private", "/checked", "/untagged", "/large", "/large/untagged", "/varies/personal"}

func (c *caller) call() {
	ctx, cancel := context.WithTimeout(c.Context(), time.Duration(10+c.rng.IntN(3000))*time.Millisecond)
	defer cancel()
	if c.rng.IntN(10) == 0 {
		time.AfterFunc(time.Duration(c.rng.IntN(200))*time.Millisecond, cancel)
	}
	ctx = cache.WithMode(ctx, [...]cache.Mode{cache.ModeReload, cache.ModeNoCache, cache.ModeNoStore, cache.ModeReadOnly, 9: cache.ModeDefault}[c.rng.IntN(10)])
	method := [...]string{"POST", "HEAD", "HEAD", 29: ""}[c.rng.IntN(30)]
	c.request, _ = http.NewRequestWithContext(ctx, method, "http://h"+soakPaths[c.rng.IntN(len(soakPaths))], nil)
	c.request.Header.Set("Accept-Language", []string{"en", "fr", "de"}[c.rng.IntN(3)])
	if n := c.rng.IntN(8) - 5; n > 0 {
		c.request.Header.Set("Authorization", fmt.Sprint(n))
	}
	if c.rng.IntN(8) == 0 {
		c.request.Header.Set("Range", fmt.Sprintf("bytes=0-%d", c.rng.IntN(2000)))
	}
	c.start = time.Now()
	c.origin.mu.Lock()
	c.floor = c.origin.floors[c.request.URL.Path]
	c.origin.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			f, ok := v.(*fault)
			if !ok {
				panic(v)
			}
			c.judge(f)
		}
	}()
	resp, err := c.rt.RoundTrip(c.request)
	c.ended.Add(1)
	if err != nil {
		c.judge(err)
		return
	}
	if method == "POST" && resp.StatusCode == 200 {
		c.origin.mu.Lock()
		c.origin.floors[c.request.URL.Path] = max(c.origin.floors[c.request.URL.Path], c.versionOf(resp, c.floor))
		c.origin.mu.Unlock()
	}
	c.use(resp)
	if c.rng.IntN(3) == 0 {
		time.Sleep(time.Duration(c.rng.IntN(3000)) * time.Millisecond)
	}
}

// versionOf reads the version from the tag of an answer, which untagged resources do not have.
func (c *caller) versionOf(resp *http.Response, otherwise int) int {
	version := otherwise
	if _, tail, ok := strings.Cut(resp.Header.Get("Etag"), "-"); ok {
		fmt.Sscanf(tail, "%d", &version)
	}
	return version
}

// use reads a body in one way or another.
func (c *caller) use(resp *http.Response) {
	if c.rng.IntN(12) == 0 {
		return // neither read nor closed: it ends with the context
	}
	defer resp.Body.Close()
	if c.rng.IntN(10) == 0 {
		return
	}
	var body io.Reader = resp.Body
	switch c.rng.IntN(5) {
	case 0:
		if !strings.Contains(c.request.URL.Path, "large") {
			body = iotest.OneByteReader(body)
		}
	case 1:
		body = &dawdling{resp.Body, c.rng}
	case 2:
		body = io.LimitReader(body, int64(c.rng.IntN(5000)))
	}
	var got bytes.Buffer
	_, err := io.Copy(&got, body)
	if _, limited := body.(*io.LimitedReader); limited && err == nil {
		err = errLimited
	}
	if err != nil && err != errLimited {
		c.judge(err)
	}
	c.compare(resp, got.String(), err)
}

var errLimited = errors.New("the caller did not read further")

// dawdling reads now and then.
type dawdling struct {
	io.Reader
	rng *rand.Rand
}

func (d *dawdling) Read(p []byte) (int, error) {
	time.Sleep(time.Duration(d.rng.IntN(30)) * time.Millisecond)
	return d.Reader.Read(p[:min(len(p), 1+d.rng.IntN(40<<10))])
}

// compare reports whether an answer is one that the origin would have given.
func (c *caller) compare(resp *http.Response, got string, err error) {
	r := c.request
	switch {
	case resp.StatusCode == 503 || resp.StatusCode == 304 || r.Method == "HEAD":
		return
	case resp.StatusCode != 200 && resp.StatusCode != 206:
		c.Errorf("%s %s: status %d", r.Method, r.URL, resp.StatusCode)
		return
	}
	var first, last int
	part, _ := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d", &first, &last)
	newest := c.origin.now(r.URL.Path, false)
	for version := newest; version >= c.floor; version-- {
		want := whole(r, version)
		if part == 2 && resp.StatusCode == 206 {
			want = want[min(first, len(want)):min(last+1, len(want))]
		}
		if got == want || err != nil && strings.HasPrefix(want, got) {
			return
		}
	}
	key, version, broken := unsealed(got)
	s, _ := cache.StatusOf(resp)
	c.Errorf("%s %s %v: status %d, %d bytes of %q version %d (%v), want %q version %d to %d; error %v; %v",
		r.Method, r.URL, r.Header, resp.StatusCode, len(got), key, version, broken, keyOf(r), c.floor, newest, err, s)
}

// judge reports whether an error has a cause: the caller, or the origin, for this very request and after it was made.
func (c *caller) judge(err error) {
	var f *fault
	large := strings.Contains(c.request.URL.Path, "large")
	switch {
	case c.request.Context().Err() != nil:
	case errors.As(err, &f):
		if f.key != faultOf(c.request) || f.at.Before(c.start) {
			c.Errorf("%s got %v of %v before", faultOf(c.request), f, c.start.Sub(f.at))
		}
	case strings.Contains(err.Error(), "has panicked: a fault of the origin for "+faultOf(c.request)):
	case large && errors.Is(err, io.ErrUnexpectedEOF): // cut off, and the rest could not be had, or is of another version
	default:
		c.Errorf("%s %s: an error without a cause: %v", c.request.Method, c.request.URL, err)
	}
}
