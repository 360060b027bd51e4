package cache

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// The exchanges that can be joined have a bound, altogether and for one key. Beyond it, requests go on by themselves.
func TestCollapseExchangesAreBounded(t *testing.T) {
	c, err := New(Options{})
	require.NoError(t, err)
	defer c.Close()
	l := c.Middleware(originFunc(nil)).(*layer)
	request := func(key, language string) *exchange {
		r := requestOf("GET", "").WithContext(t.Context())
		r.Header.Set("Accept-Language", language)
		var a rfc9111.Request
		c.read(&a, r, &connection.Chain{})
		x := l.newExchange(r, &a, []byte(key), lookup{Lookup: rfc9111.Lookup{Fwd: cachestatus.FwdURIMiss}}, time.Now())
		x.learned = []stored.Selector{{Name: "Accept-Language"}}
		return x
	}
	fill := func(n int, nth func(int) *exchange) (begun []*inflightFetch) {
		for i := range n {
			if f, as := c.fetches.join(nth(i)); as == leads {
				begun = append(begun, f)
			}
		}
		return begun
	}
	for name, test := range map[string]struct {
		nth  func(int) *exchange
		most int
	}{
		"keys":     {func(i int) *exchange { return request(fmt.Sprint(i), "en") }, maxInflight},
		"variants": {func(i int) *exchange { return request("one", fmt.Sprint(i)) }, stored.MaxVariants},
	} {
		begun := fill(test.most+100, test.nth)
		if len(begun) != test.most {
			t.Errorf("%s: %d exchanges can be joined, want %d", name, len(begun), test.most)
		}
		if f, as := c.fetches.join(test.nth(0)); as != shares || f != begun[0] {
			t.Errorf("%s: the first one is not joined any more", name)
		}
		for i := range begun {
			c.fetches.remove(begun[(i*7)%len(begun)]) // in some other order
			c.fetches.remove(begun[(i*7)%len(begun)])
		}
		for _, f := range begun {
			c.fetches.remove(f)
		}
		if flights, _ := c.InFlight(); flights != 0 {
			t.Errorf("%s: %d are left", name, flights)
		}
	}
}
