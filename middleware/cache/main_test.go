package cache_test

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// onBytes has rigs without a store of their own keep their responses in a byte store, and onTiers near that, too.
var onBytes, onTiers bool

// rigged are the tests that have such rigs.
var rigged = make(map[string]bool)

// backed gives options a store if they have none.
func backed(t *testing.T, o cache.Options) cache.Options {
	if o.Store != nil {
		return o
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	rigged[name] = true
	if onBytes {
		o.Store = storetest.NewMap(64 << 20)
	}
	if onTiers {
		o.Store = cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), o.Store)
	}
	if onTiers && !o.NoCollapse {
		o.Lease = 10 * time.Second
	}
	if o.Store != nil && o.StoreTimeout == 0 && inRealTime() {
		o.StoreTimeout = 10 * time.Second // a goroutine may wait for long on a machine with other things to do
	}
	return o
}

// inRealTime reports whether this goroutine is in no bubble: in one it is the year 2000, or a few years later.
func inRealTime() bool { return time.Now().Year() >= 2020 }

// TestMain runs tests several times: what holds for responses in memory holds for those in a byte store, and for copies of these,
// and where other processes could be waited for.
func TestMain(m *testing.M) {
	code := m.Run()
	if len(rigged) > 0 && !working("test.fuzz", "test.bench", "test.list") {
		flag.Set("test.run", "^("+strings.Join(slices.Collect(maps.Keys(rigged)), "|")+")$")
		for _, also := range []*bool{&onBytes, &onTiers} {
			if code == 0 {
				*also = true
				code = m.Run()
			}
		}
	}
	os.Exit(code)
}

// working reports whether go test does something else than to run tests.
func working(flags ...string) bool {
	for _, name := range flags {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return false
}
