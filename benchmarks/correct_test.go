package benchmarks

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gregjones/httpcache"

	"github.com/plyhttp/ply/middleware/cache"
)

// verify reads an answer and proves that it is the one to this request, byte for byte.
func verify(t *testing.T, h http.RoundTripper, r *http.Request, n size) *http.Response {
	t.Helper()
	resp, err := h.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return &http.Response{}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, content(r.URL.Path, r.Header.Get("Accept-Language"), n)) {
		t.Errorf("%s: status %d and %d bytes that are not the %d right ones", r.URL, resp.StatusCode, len(body), n)
	}
	return resp
}

// asked fails unless the origin has seen so many requests.
func asked(t *testing.T, o *origin, want int64) {
	t.Helper()
	if got := o.requests.Load(); got != want {
		t.Errorf("the origin saw %d requests, want %d", got, want)
	}
}

// onlyOnce is how often the origin is asked for one page that is wanted n times.
func (c contender) onlyOnce(n int64) int64 {
	if c.caches {
		return 1
	}
	return n
}

func eachContender(t *testing.T, f func(*testing.T, contender)) {
	for i, c := range contenders {
		t.Run(fmt.Sprintf("%d %s", i, c.name), func(t *testing.T) { f(t, c) })
	}
}

func TestAHitReturnsTheRightBytesWithoutTheOrigin(t *testing.T) {
	eachContender(t, func(t *testing.T, c contender) {
		for _, n := range sizes {
			for _, fields := range []int{8, 16} {
				paths := numbered(2)
				o := newOrigin(says{size: n, fields: fields - c.adds, control: "max-age=60"}, paths...)
				h := c.mount(t, o)
				for round := range 3 {
					for _, path := range paths {
						resp := verify(t, h, request(t, path, ""), n)
						want := max(fields, 5+c.adds) // the origin's answer has five
						if got := len(resp.Header); round > 0 && got != want {
							t.Errorf("%s, hit %d: %d fields, want %d", n, round, got, want)
						}
					}
				}
				asked(t, o, 2*c.onlyOnce(3))
			}
		}
	})
}

// What a caller does to a header must not show in the next answer: so much is demanded of the floor too.
func TestHeadersAreSafeToChangeInPlace(t *testing.T) {
	eachContender(t, func(t *testing.T, c contender) {
		o := newOrigin(says{size: KiB, fields: 8, control: "max-age=60"}, numbered(1)...)
		h, r := c.mount(t, o), request(t, "/page/0", "")
		verify(t, h, r, KiB)
		first := verify(t, h, r, KiB)
		want := first.Header.Clone()
		for _, values := range first.Header {
			values[0] = "changed"
			_ = append(values, "added")
		}
		first.Header.Set("X-New", "new")
		if diff := cmp.Diff(want, verify(t, h, r, KiB).Header); diff != "" {
			t.Errorf("the next answer differs (-want +got):\n%s", diff)
		}
	})
}

func TestHitsSaySo(t *testing.T) {
	o := newOrigin(says{size: KiB, fields: 8, control: "max-age=60"}, numbered(1)...)
	for _, c := range []contender{ply, plyFull} {
		h, r := c.mount(t, o), request(t, "/page/0", "")
		verify(t, h, r, KiB)
		if s, ok := cache.StatusOf(verify(t, h, r, KiB)); !ok || !s.Hit {
			t.Errorf("%s says %v", c.name, s)
		}
	}
	h, r := gregjones.mount(t, o), request(t, "/page/0", "")
	verify(t, h, r, KiB)
	if verify(t, h, r, KiB).Header.Get(httpcache.XFromCache) == "" {
		t.Errorf("%s does not say that it hit", gregjones.name)
	}
}

// The miss benchmark goes through more URLs than a store holds or remembers: each one is a miss, and each answer is stored.
func TestFullStoresMissWhatWasEvictedAndHitWhatWasStored(t *testing.T) {
	for _, c := range []contender{plyFull, gregjones, bartventer, sandrolain, failsafe} {
		t.Run(c.name, func(t *testing.T) {
			paths := numbered(kept)
			o := newOrigin(says{size: KiB, fields: 8, control: "max-age=60"}, paths...)
			h, rs := c.mount(t, o), requests(t, spellings(paths))
			for round := range 2 {
				for i, r := range rs {
					verify(t, h, r, KiB)
					verify(t, h, r, KiB)
					asked(t, o, int64(round*len(rs)+i+1))
				}
			}
		})
	}
}

func TestA304ConfirmsWhatIsStored(t *testing.T) {
	for _, c := range contenders {
		if !c.validates {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			o := newOrigin(says{size: KiB, fields: 8, control: "max-age=0"}, numbered(1)...)
			h, r := c.mount(t, o), request(t, "/page/0", "")
			for range 4 {
				verify(t, h, r, KiB)
			}
			asked(t, o, 4)
			if got := o.confirmed.Load(); got != 3 {
				t.Errorf("%d answers were 304, want 3", got)
			}
		})
	}
}

func TestVariantsAreToldApart(t *testing.T) {
	for _, c := range contenders {
		if c.name == failsafe.name || c.name == floor.name || c.name == byHand.name {
			continue // they serve the wrong variant, so they are not measured
		}
		t.Run(c.name, func(t *testing.T) {
			o := newOrigin(says{size: KiB, fields: 8, control: "max-age=60", vary: "Accept-Language"}, numbered(1)...)
			h := c.mount(t, o)
			for range 3 {
				verify(t, h, request(t, "/page/0", "en"), KiB)
				verify(t, h, request(t, "/page/0", "fr"), KiB)
			}
			want := int64(6)
			if c.separates {
				want = 2
			}
			asked(t, o, want)
		})
	}
}

// In a bubble no caller is late: all have asked before the first answer is there.
func TestAHerdIsServedRight(t *testing.T) {
	const callers = 500
	for _, c := range contenders {
		if c.name == floor.name || c.name == byHand.name {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrigin(says{size: KiB, fields: 8, control: "max-age=60", latency: 50 * time.Millisecond}, numbered(1)...)
				stampede(t, c.mount(t, o), callers, func(h http.RoundTripper) { verify(t, h, request(t, "/page/0", ""), KiB) })
				t.Logf("%d callers, %d requests at the origin", callers, o.requests.Load())
				if c.collapses {
					asked(t, o, 1)
				}
			})
		})
	}
}
