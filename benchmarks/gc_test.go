package benchmarks

import (
	"net/http"
	"net/http/httputil"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
)

// BenchmarkGarbageCollection says what a collection costs beside one GiB of stored answers of 304 bytes with ten fields:
//
//	go test -run '^$' -bench GarbageCollection -benchtime 3x ./benchmarks
//
// "nothing" has none; "wire bytes" is a map of byte slices, as gregjones/httpcache keeps them in memory.
func BenchmarkGarbageCollection(b *testing.B) {
	for _, c := range []struct {
		name  string
		store func(b *testing.B) (put func(n int) error)
	}{
		{"nothing", nil},
		{"wire bytes", putWireBytes},
		{failsafe.name, func(b *testing.B) func(int) error { return putInto(b, answers{unbounded{}}) }},
		{ply.name, putPly},
	} {
		b.Run(c.name, func(b *testing.B) {
			entries := 0
			if c.store != nil {
				put, before := c.store(b), liveHeap()
				for grown := uint64(0); grown < 1<<30; grown = liveHeap() - before {
					for range 100_000 {
						if err := put(entries); err != nil {
							b.Fatal(err)
						}
						entries++
					}
				}
				defer runtime.KeepAlive(put)
			}
			runtime.GC()
			before := collectorTime()
			for b.Loop() {
				runtime.GC()
			}
			b.ReportMetric(1e3*(collectorTime()-before)/float64(b.N), "GC-CPU-ms/op")
			b.ReportMetric(float64(scannable())/(1<<20), "scanned-MiB")
			b.ReportMetric(float64(entries), "entries")
		})
	}
}

// unbounded is a map without a bound, for failsafe-go.
type unbounded map[string]*answer

func (u unbounded) Get(key string) (*answer, bool) {
	a, ok := u[key]
	return a, ok
}

func (u unbounded) Set(key string, a *answer) { u[key] = a }

func putPly(b *testing.B) func(int) error {
	c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 8 << 30})})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	h, r := c.Middleware(newEndless()), newNumberedRequest(b)
	return func(n int) error {
		get(b, h, r.of(n), 304)
		return nil
	}
}

func putWireBytes(b *testing.B) func(int) error {
	o, r, kept := newEndless(), newNumberedRequest(b), make(map[string][]byte)
	return func(n int) error {
		asked := r.of(n)
		resp, err := o.RoundTrip(asked)
		if err != nil {
			return err
		}
		kept[asked.URL.String()], err = httputil.DumpResponse(resp, true)
		return err
	}
}

func putInto(b *testing.B, store interface{ Set(string, *http.Response) }) func(int) error {
	o, r := newEndless(), newNumberedRequest(b)
	return func(n int) error {
		asked := r.of(n)
		resp, err := o.RoundTrip(asked)
		if err == nil {
			store.Set(asked.URL.String(), resp)
		}
		return err
	}
}

// liveHeap is what the latest collection left, after one.
func liveHeap() uint64 {
	runtime.GC()
	return read("/gc/heap/live:bytes").Uint64()
}

func scannable() uint64 { return read("/gc/scan/heap:bytes").Uint64() }

func collectorTime() float64 { return read("/cpu/classes/gc/total:cpu-seconds").Float64() }

func read(name string) metrics.Value {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value
}
