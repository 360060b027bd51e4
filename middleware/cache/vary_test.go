package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestVaryStoresSeveralVariantsOfOneURL(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, echo("A"), cache.Options{})
		for round := range 2 {
			for i, value := range []string{"x", "y", "z"} {
				have, _ := g.get(url, "A: "+value)
				if round == 0 {
					g.want(have, 200, value, "miss", i+1)
				} else {
					g.want(have, 200, value, "hit", 3)
				}
			}
		}
	})
}

func TestVaryBoundsVariantsPerURL(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, echo("A"), cache.Options{})
		for i := range 64 {
			g.get(url, fmt.Sprint("A: ", i))
			time.Sleep(time.Millisecond)
		}
		g.get(url, "A: 0") // now 1 is the one that was used longest ago
		time.Sleep(time.Millisecond)
		more := 300
		if onBytes {
			more = 100
		}
		for i := range more {
			g.get(url, fmt.Sprint("A: more", i))
			if i == 0 && !onBytes { // a byte store is not told of each use
				have, _ := g.get(url, "A: 0")
				g.want(have, 200, "0", "hit", 65)
				have, _ = g.get(url, "A: 1")
				g.want(have, 200, "1", "miss", 66)
			}
		}
		if n := g.entries(); n != 64 {
			t.Errorf("%d variants, want 64", n)
		}
	})
}

func TestVaryBoundCountsPerPrincipal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		for i := range 1000 {
			g.get(url, fmt.Sprint("Authorization: ", i))
		}
		for i := range 1000 {
			have, _ := g.get(url, fmt.Sprint("Authorization: ", i))
			g.want(have, 200, "hello", "hit", 1000)
		}
		g.do("DELETE", url)
		if n := g.entries(); n != 0 {
			t.Errorf("%d copies left after an invalidation of the URL, want none", n)
		}
	})
}
