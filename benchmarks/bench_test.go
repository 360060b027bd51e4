package benchmarks

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/cachepolicy"

	"github.com/plyhttp/ply/middleware/cache"
)

const host = "http://origin.example"

// request makes a GET request. Its context names the key under which failsafe-go keeps the answer.
func request(tb testing.TB, path, language string) *http.Request {
	tb.Helper()
	ctx := cachepolicy.ContextWithCacheKey(context.Background(), host+path)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, host+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("User-Agent", "benchmarks")
	r.Header.Set("Accept", "*/*")
	if language != "" {
		r.Header.Set("Accept-Language", language)
	}
	return r
}

// numbered makes n paths.
func numbered(n int) []string {
	paths := make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("/page/%d", i)
	}
	return paths
}

// spellings makes sixteen URLs of each path for which the origin has one page: more than any full store remembers.
func spellings(paths []string) []string {
	urls := make([]string, 16*len(paths))
	for i := range urls {
		urls[i] = fmt.Sprintf("%s?%d", paths[i%len(paths)], i)
	}
	return urls
}

func requests(tb testing.TB, paths []string) []*http.Request {
	tb.Helper()
	made := make([]*http.Request, len(paths))
	for i, path := range paths {
		made[i] = request(tb, path, "")
	}
	return made
}

// get reads an answer to its end and looks at its length; that its bytes are right, the tests prove.
func get(tb testing.TB, h http.RoundTripper, r *http.Request, n size) {
	resp, err := h.RoundTrip(r)
	if err != nil {
		tb.Error(err)
		return
	}
	read, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || read != int64(n) || resp.StatusCode != http.StatusOK {
		tb.Errorf("status %d, %d bytes, error %v; want 200 and %d bytes", resp.StatusCode, read, err, n)
	}
}

// spread gives each goroutine its own requests: what one of them writes into a request is not what is measured.
func spread(b *testing.B, h http.RoundTripper, paths []string, n size) {
	sets := make([][]*http.Request, runtime.GOMAXPROCS(0))
	for i := range sets {
		sets[i] = requests(b, paths)
	}
	var goroutines atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		id := int(goroutines.Add(1)) - 1
		own := sets[id]
		for i := id * len(own) / 2; pb.Next(); i++ {
			get(b, h, own[i%len(own)], n)
		}
	})
}

// countOrigin reports how many requests of those in the measurement the origin has seen.
func countOrigin(b *testing.B, o *origin, before int64) {
	b.ReportMetric(float64(o.requests.Load()-before)/float64(b.N), "origin/op")
}

// BenchmarkHit answers from the store.
func BenchmarkHit(b *testing.B) {
	shapes := []struct {
		contender
		fields int
	}{
		{transport, 8}, {floor, 8}, {ply, 8}, {gregjones, 8}, {bartventer, 8}, {sandrolain, 8}, {failsafe, 8}, {byHand, 8},
		{transport, 16}, {floor, 16}, {ply, 16}, {gregjones, 16}, {failsafe, 16},
	}
	for _, n := range sizes {
		for _, c := range shapes {
			if n > KiB && c.fields > 8 && c.name != ply.name && c.name != floor.name {
				continue
			}
			answering := says{size: n, fields: c.fields - c.adds, control: "max-age=86400"}
			name := func(how string) string { return fmt.Sprintf("%s/%d fields/%s/%s", n, c.fields, how, c.name) }
			b.Run(name("serial"), func(b *testing.B) { benchmarkHit(b, c.contender, answering) })
			b.Run(name("parallel"), func(b *testing.B) { benchmarkParallelHits(b, c.contender, answering, 1) })
			if n == KiB {
				b.Run(name("parallel over 64 URLs"), func(b *testing.B) { benchmarkParallelHits(b, c.contender, answering, kept) })
			}
			if n == KiB && c.fields == 8 && (c.name == floor.name || c.name == ply.name || c.name == byHand.name) {
				b.Run(name("parallel over 8192 URLs"), func(b *testing.B) { benchmarkParallelHits(b, c.contender, answering, 8192) })
			}
		}
	}
}

// benchmarkHit gets one URL again and again.
func benchmarkHit(b *testing.B, c contender, answering says) {
	paths := numbered(1)
	o := newOrigin(answering, paths...)
	h, r := c.mount(b, o), request(b, paths[0], "")
	get(b, h, r, o.size)
	before := o.requests.Load()
	b.ReportAllocs()
	for b.Loop() {
		get(b, h, r, o.size)
	}
	countOrigin(b, o, before)
}

func benchmarkParallelHits(b *testing.B, c contender, answering says, urls int) {
	paths := numbered(urls)
	o := newOrigin(answering, paths...)
	h := c.mount(b, o)
	for range 3 { // the first round stores, and what the first hit of an answer costs beside others is not what is measured either
		for _, r := range requests(b, paths) {
			get(b, h, r, o.size)
		}
	}
	before := o.requests.Load()
	spread(b, h, paths, o.size)
	countOrigin(b, o, before)
}

// BenchmarkHitReadThroughABuffer answers from the store to a caller who copies the bytes through 32 KiB: every cache pays for that.
func BenchmarkHitReadThroughABuffer(b *testing.B) {
	for _, c := range []contender{transport, floor, ply, gregjones, failsafe} {
		b.Run(fmt.Sprintf("%s/%s", MiB, c.name), func(b *testing.B) {
			paths := numbered(1)
			o := newOrigin(says{size: MiB, fields: 8 - c.adds, control: "max-age=86400"}, paths...)
			h, r := c.mount(b, o), request(b, paths[0], "")
			get(b, h, r, o.size)
			buffer := make([]byte, 32*KiB)
			before := o.requests.Load()
			b.ReportAllocs()
			for b.Loop() {
				resp, err := h.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				read := 0
				for err == nil {
					var n int
					n, err = resp.Body.Read(buffer)
					read += n
				}
				resp.Body.Close()
				if err != io.EOF || read != int(o.size) {
					b.Fatalf("%d bytes, error %v", read, err)
				}
			}
			countOrigin(b, o, before)
		})
	}
}

// BenchmarkMissAndStore fetches what is not stored, and stores it in a full store: each time around, a URL has been evicted and forgotten.
func BenchmarkMissAndStore(b *testing.B) {
	for _, n := range sizes {
		for _, c := range []contender{transport, plyFull, gregjones, bartventer, sandrolain, failsafe} {
			b.Run(fmt.Sprintf("%s/serial/%s", n, c.name), func(b *testing.B) { benchmarkMiss(b, context.Background(), c, cacheable(n)) })
			b.Run(fmt.Sprintf("%s/cancelable/%s", n, c.name), func(b *testing.B) { benchmarkMiss(b, b.Context(), c, cacheable(n)) })
			b.Run(fmt.Sprintf("%s/parallel/%s", n, c.name), func(b *testing.B) { benchmarkParallelMisses(b, c, n) })
		}
	}
}

// BenchmarkMissOverASocket is the same with a server on loopback and a transport of net/http, in contexts that can end, as a program has it.
func BenchmarkMissOverASocket(b *testing.B) {
	for _, n := range []size{KiB, 64 * KiB} {
		for _, c := range []contender{transport, plyFull, gregjones} {
			b.Run(fmt.Sprintf("%s/%s", n, c.name), func(b *testing.B) {
				o := cacheable(n)
				o.serve(b)
				benchmarkMiss(b, b.Context(), c, o)
			})
		}
	}
}

// warm fills the store, and lets the heap grow to its size: memory that is touched for the first time costs more than what is measured.
func warm(b *testing.B, h http.RoundTripper, rs []*http.Request, n size) {
	b.Helper()
	for _, r := range rs {
		get(b, h, r, n)
	}
}

// cacheable is an origin whose pages, as many as a full store holds, may be stored.
func cacheable(n size) *origin {
	return newOrigin(says{size: n, fields: 8, control: "max-age=86400"}, numbered(kept)...)
}

func benchmarkMiss(b *testing.B, ctx context.Context, c contender, o *origin) {
	n := o.size
	h, rs := c.mount(b, o), requests(b, spellings(numbered(kept)))
	if ctx.Done() != nil {
		for i, r := range rs {
			ending, cancel := context.WithCancel(r.Context())
			b.Cleanup(cancel)
			rs[i] = r.WithContext(ending)
		}
	}
	warm(b, h, rs, n)
	before, i := o.requests.Load(), 0
	b.ReportAllocs()
	for b.Loop() {
		get(b, h, rs[i%len(rs)], n)
		i++
	}
	countOrigin(b, o, before)
}

// benchmarkParallelMisses goes through the URLs in one order for all goroutines, so that none is there yet.
func benchmarkParallelMisses(b *testing.B, c contender, n size) {
	o := cacheable(n)
	h, urls := c.mount(b, o), spellings(numbered(kept))
	warm(b, h, requests(b, urls), n)
	before := o.requests.Load()
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		own := requests(b, urls)
		for pb.Next() {
			get(b, h, own[int(next.Add(1))%len(own)], n)
		}
	})
	countOrigin(b, o, before)
}

// BenchmarkRevalidation has a stored answer of 1 KiB confirmed by a 304 each time. The origin's own work is part of it.
func BenchmarkRevalidation(b *testing.B) {
	for _, c := range []contender{ply, gregjones, bartventer, sandrolain} {
		b.Run(c.name, func(b *testing.B) {
			paths := numbered(1)
			o := newOrigin(says{size: KiB, fields: 8, control: "max-age=0"}, paths...)
			h, r := c.mount(b, o), request(b, paths[0], "")
			get(b, h, r, o.size)
			before := o.requests.Load()
			b.ReportAllocs()
			for b.Loop() {
				get(b, h, r, o.size)
			}
			countOrigin(b, o, before)
			if full := o.requests.Load() - o.confirmed.Load(); full != 1 {
				b.Errorf("%d full answers, want the first one", full)
			}
		})
	}
}

// BenchmarkSharedRevalidation has a stored answer confirmed by a 304 that other requests could share meanwhile.
func BenchmarkSharedRevalidation(b *testing.B) {
	for _, leaves := range []bool{false, true} {
		b.Run(contextName(leaves), func(b *testing.B) {
			paths := numbered(1)
			o := newOrigin(says{size: KiB, fields: 8, control: "max-age=60"}, paths...)
			h, r := ply.mount(b, o), request(b, paths[0], "")
			if leaves {
				r = r.WithContext(b.Context())
			}
			get(b, h, r, o.size)
			r.Header.Set("Cache-Control", "max-age=0")
			before := o.requests.Load()
			b.ReportAllocs()
			for b.Loop() {
				get(b, h, r, o.size)
			}
			countOrigin(b, o, before)
		})
	}
}

// contextName says whether a caller can leave before it has its answer.
func contextName(leaves bool) string {
	if leaves {
		return "cancelable context"
	}
	return "endless context"
}

// passing are requests whose answers the cache passes on without storing them.
var passing = []struct {
	name    string
	control string // of the answer
	method  string
	urls    int // how many there are: more than a cache remembers, or one
	keepOut func(context.Context, *cache.Cache) context.Context
}{
	{name: "no-store", control: "no-store", method: http.MethodGet, urls: 1},
	{name: "no-store, each URL once", control: "no-store", method: http.MethodGet, urls: 4096},
	{name: "POST", control: "max-age=60", method: http.MethodPost, urls: 1},
	{name: "Disable", control: "max-age=60", method: http.MethodGet, urls: 1, keepOut: disable},
	{name: "off", control: "max-age=60", method: http.MethodGet, urls: 1, keepOut: switchOff},
}

// BenchmarkPassThrough has the cache pass on what it does not store, for callers who can leave and for callers who cannot.
func BenchmarkPassThrough(b *testing.B) {
	for _, test := range passing {
		for _, leaves := range []bool{false, true} {
			for _, cached := range []bool{false, true} {
				name := fmt.Sprintf("%s/%s/%s", test.name, contextName(leaves), map[bool]string{false: transport.name, true: ply.name}[cached])
				b.Run(name, func(b *testing.B) {
					paths := numbered(test.urls)
					o := newOrigin(says{size: KiB, fields: 8, control: test.control}, paths...)
					ctx, cancel := context.WithCancel(b.Context())
					defer cancel()
					if !leaves {
						ctx = context.Background()
					}
					var h http.RoundTripper = o
					if cached {
						c := newPly(b, cache.Options{})
						if h = c.Middleware(o); test.keepOut != nil {
							ctx = test.keepOut(ctx, c)
						}
					}
					rs := requests(b, paths)
					for i, r := range rs {
						rs[i] = r.WithContext(ctx)
						rs[i].Method = test.method
					}
					i := 0
					b.ReportAllocs()
					for b.Loop() {
						get(b, h, rs[i%len(rs)], KiB)
						i++
					}
				})
			}
		}
	}
}

// BenchmarkVaryHit asks for two variants of one URL by turns.
func BenchmarkVaryHit(b *testing.B) {
	for _, c := range []contender{ply, gregjones, bartventer, sandrolain} {
		b.Run(c.name, func(b *testing.B) {
			paths := numbered(1)
			o := newOrigin(says{size: KiB, fields: 8 - c.adds, control: "max-age=86400", vary: "Accept-Language"}, paths...)
			h := c.mount(b, o)
			rs := []*http.Request{request(b, paths[0], "en"), request(b, paths[0], "fr")}
			for _, r := range rs {
				get(b, h, r, o.size)
			}
			before, i := o.requests.Load(), 0
			b.ReportAllocs()
			for b.Loop() {
				get(b, h, rs[i%2], o.size)
				i++
			}
			countOrigin(b, o, before)
		})
	}
}

// herd is how many callers ask for one URL at once.
const herd = 10_000

// BenchmarkHerd lets all callers loose on one cold URL whose origin takes 200 ms. One operation is the whole herd.
func BenchmarkHerd(b *testing.B) {
	for _, c := range []contender{transport, ply, gregjones, bartventer, sandrolain, failsafe} {
		b.Run(fmt.Sprintf("%d callers/%s", herd, c.name), func(b *testing.B) {
			answering := says{size: KiB, fields: 6, control: "max-age=86400", latency: 200 * time.Millisecond}
			paths := numbered(1)
			var asked int64
			b.ReportAllocs()
			for b.Loop() {
				o := newOrigin(answering, paths...)
				stampede(b, c.mount(b, o), herd, func(h http.RoundTripper) { get(b, h, request(b, paths[0], ""), o.size) })
				asked += o.requests.Load()
			}
			b.ReportMetric(float64(asked)/float64(b.N), "origin/op")
		})
	}
}

// stampede calls ask n times at once.
func stampede(tb testing.TB, h http.RoundTripper, n int, ask func(http.RoundTripper)) {
	tb.Helper()
	var group sync.WaitGroup
	gate := make(chan struct{})
	for range n {
		group.Go(func() {
			<-gate
			ask(h)
		})
	}
	close(gate)
	group.Wait()
}
