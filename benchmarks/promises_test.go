package benchmarks

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
)

// Times depend on the machine, allocations do not: these are the figures that docs/performance.md gives for ply.
func TestAllocationsStayWithinWhatIsPromised(t *testing.T) {
	const lasting = "max-age=86400"
	for _, test := range []struct {
		name      string
		answering says
		languages []string
		want      float64
		demand    string // Cache-Control of the request
		leaves    bool   // its context can end
	}{
		{"hit, 1 KiB, 8 fields", says{size: KiB, fields: 6, control: lasting}, []string{""}, 3, "", false},
		{"hit, 1 MiB, 8 fields", says{size: MiB, fields: 6, control: lasting}, []string{""}, 3, "", false},
		{"hit, 16 fields", says{size: KiB, fields: 14, control: lasting}, []string{""}, 5, "", false},
		{"hit among variants", says{size: KiB, fields: 6, control: lasting, vary: "Accept-Language"}, []string{"en", "fr"}, 3, "", false},
		{"304, the origin's part included", says{size: KiB, fields: 8, control: "max-age=0"}, []string{""}, 20, "", false},
		{"304 that others could share", says{size: KiB, fields: 8, control: "max-age=60"}, []string{""}, 26, "max-age=0", false},
		{"304 that others could share, for a caller who can leave", says{size: KiB, fields: 8, control: "max-age=60"}, []string{""}, 27, "max-age=0", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := ply.mount(t, newOrigin(test.answering, numbered(1)...))
			var rs []*http.Request
			for _, language := range test.languages {
				r := request(t, "/page/0", language)
				if test.leaves {
					r = r.WithContext(t.Context())
				}
				if test.demand != "" {
					r.Header.Set("Cache-Control", test.demand)
				}
				rs = append(rs, r)
			}
			i := 0
			got := testing.AllocsPerRun(200, func() {
				get(t, h, rs[i%len(rs)], test.answering.size)
				i++
			})
			if got > test.want {
				t.Errorf("%v allocations, want %v at most", got, test.want)
			}
		})
	}
}

// Hits of many URLs make no more allocations than those of one: what changes with time in them is made once for all.
func TestHitsOfManyURLsAllocateNoMoreThanThoseOfOne(t *testing.T) {
	paths := numbered(2000)
	h, rs := ply.mount(t, newOrigin(says{size: KiB, fields: 6, control: "max-age=86400"}, paths...)), requests(t, paths)
	for _, r := range rs {
		get(t, h, r, KiB)
	}
	i := 0
	if got := testing.AllocsPerRun(len(rs)-1, func() { // each URL once
		get(t, h, rs[i], KiB)
		i++
	}); got > 3 {
		t.Errorf("%v allocations, want 3 at most", got)
	}
}

// What tells principals and variants apart costs no allocation, however it is found.
func TestKeysAndVariantsOfAHitAllocateNothing(t *testing.T) {
	for _, k := range keyedHits {
		t.Run(k.name, func(t *testing.T) {
			h, r := k.mount(t)
			if got := testing.AllocsPerRun(200, func() { get(t, h, r, KiB) }); got > 3 {
				t.Errorf("%v allocations, want 3 at most", got)
			}
		})
	}
}

// A key from content costs the copy that GetBody makes, and, in a buffer that is not kept, the form of large content.
func TestKeysOfContentAllocateLittleAtAnySize(t *testing.T) {
	for _, n := range []size{KiB, 64 * KiB, MiB} {
		for _, f := range formats {
			t.Run(n.String()+" "+f.name, func(t *testing.T) {
				key := contentKey(t, jsonContent(n), f.is)
				want := 10.0 // three, and the buffers where the pool has lost them
				if n == MiB && f.name != "raw" {
					want = 30
				}
				if got := testing.AllocsPerRun(20, key); got > want {
					t.Errorf("%v allocations, want %v at most", got, want)
				}
			})
		}
	}
}

func TestAMissAllocatesLittleMoreThanTheBody(t *testing.T) {
	for _, test := range []struct {
		body   size
		misses int
		most   float64
	}{
		{MiB, 32, 1.1},
		{8 * MiB, 4, 1.15},
		{64 * MiB, 1, 1.15},
	} {
		t.Run(test.body.String(), func(t *testing.T) {
			paths := numbered(test.misses)
			options := cache.Options{MaxEntryBytes: 64 << 20, Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 30})}
			h := mountPlyOf(t, newOrigin(says{size: test.body, fields: 8, control: "max-age=60"}, paths...), options)
			rs := requests(t, paths)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, r := range rs {
				get(t, h, r, test.body)
			}
			runtime.ReadMemStats(&after)
			if got := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(rs)*int(test.body)); got > test.most {
				t.Errorf("%.2f times the body, want %v at most", got, test.most)
			}
		})
	}
}

// What an entry of memory takes: bytes of the heap, objects, and the bytes in which a garbage collection looks for pointers, and what it is charged with.
// So many entries make the rest of a cache, and what the collector itself has, small.
func TestAnEntryTakesLittleMoreThanItsContentAndIsChargedForIt(t *testing.T) {
	const entries = 20_000
	paths := numbered(entries)
	o := newOrigin(says{size: 304, fields: 8, control: "max-age=86400"}, paths...)
	c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 30})})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := c.Middleware(o)
	before := heap()
	for _, path := range paths {
		get(t, h, request(t, path, ""), 304)
	}
	after := heap()
	stats := c.Stats()
	if stats.Entries != entries {
		t.Fatalf("%d entries, want %d", stats.Entries, entries)
	}
	bytes, objects, scanned := (after.bytes-before.bytes)/entries, float64(after.objects-before.objects)/entries, (after.scanned-before.scanned)/entries
	charged := float64(stats.Bytes) / float64(after.bytes-before.bytes)
	t.Logf("an entry of %d bytes takes %d bytes in %.1f objects, %d bytes of them scanned, and is charged with %.2f of that", 304, bytes, objects, scanned, charged)
	if bytes > 1500 || objects > 10 || scanned > 600 {
		t.Errorf("%d bytes in %.1f objects, %d of them scanned: want 1500, 10 and 600 at most", bytes, objects, scanned)
	}
	if charged < 0.9 || charged > 1.1 {
		t.Errorf("charged with %.2f of what it takes, want within a tenth", charged)
	}
	runtime.KeepAlive(c)
	runtime.KeepAlive(o)
}

// heapUse is what is reachable.
type heapUse struct{ bytes, objects, scanned int64 }

func heap() heapUse {
	runtime.GC()
	runtime.GC() // what the first one left in sync.Pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return heapUse{int64(m.HeapAlloc), int64(m.HeapObjects), scanned()}
}

// scanned is the least that one of five collections scanned: of one and the same heap they scan a few percent more or less.
func scanned() int64 {
	least := int64(math.MaxInt64)
	for range 5 {
		runtime.GC()
		sample := []metrics.Sample{{Name: "/gc/scan/heap:bytes"}}
		metrics.Read(sample)
		least = min(least, int64(sample[0].Value.Uint64()))
	}
	return least
}

// What a request costs that the store does not answer, beyond the same request without a cache. A ninth field, Cache-Status, makes the copy of a header five allocations;
// up to eight fields take three.
func TestAllocationsBeyondTheTransportStayWithinWhatIsPromised(t *testing.T) {
	for _, test := range []struct {
		name    string
		control string
		method  string
		once    bool // each URL is asked for once
		off     func(context.Context, *cache.Cache) context.Context
		fields  int
		want    float64
	}{
		{name: "stored miss, 1 KiB", control: "max-age=60", method: http.MethodGet, once: true, fields: 8, want: 24},
		{name: "no-store answer, the first for its URL", control: "no-store", method: http.MethodGet, once: true, fields: 8, want: 18},
		{name: "no-store answer", control: "no-store", method: http.MethodGet, fields: 8, want: 7},
		{name: "POST", control: "max-age=60", method: http.MethodPost, fields: 8, want: 6},
		{name: "Disable", control: "max-age=60", method: http.MethodGet, off: disable, fields: 8, want: 5},
		{name: "Disable, 7 fields", control: "max-age=60", method: http.MethodGet, off: disable, fields: 7, want: 3},
		{name: "switched off", control: "max-age=60", method: http.MethodGet, off: switchOff, fields: 8, want: 5},
	} {
		for _, leaves := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, cancelable context %v", test.name, leaves), func(t *testing.T) {
				paths := numbered(1)
				if test.once {
					paths = numbered(400)
				}
				o := newOrigin(says{size: KiB, fields: test.fields, control: test.control}, paths...)
				c, ctx := newPly(t, cache.Options{}), context.Background()
				if leaves {
					ctx = t.Context()
				}
				if test.off != nil {
					ctx = test.off(ctx, c)
				}
				var rs []*http.Request
				for _, r := range requests(t, paths) {
					r = r.WithContext(ctx)
					r.Method = test.method
					rs = append(rs, r)
				}
				allocations := func(h http.RoundTripper) float64 {
					i := 0
					return testing.AllocsPerRun(399, func() {
						get(t, h, rs[i%len(rs)], KiB)
						i++
					})
				}
				if got := allocations(c.Middleware(o)) - allocations(o); got > test.want {
					t.Errorf("%v allocations beyond the transport's, want %v at most", got, test.want)
				}
			})
		}
	}
}

func disable(ctx context.Context, _ *cache.Cache) context.Context { return cache.Disable(ctx) }

func switchOff(ctx context.Context, c *cache.Cache) context.Context {
	c.SetEnabled(false)
	return ctx
}
