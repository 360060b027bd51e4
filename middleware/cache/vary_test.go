package cache_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
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

// A response that varies on Cookie is for the cookies that it was made for, however a key tells requests apart, and however the cookies are written.
func TestVaryCookieUnderEachKey(t *testing.T) {
	sent := func(r *http.Request) string {
		var lines []string
		for name, values := range r.Header {
			if strings.EqualFold(name, "Cookie") {
				lines = append(lines, strings.Join(values, ", ")) // one value (RFC 9110 §5.3)
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, " beside ")
	}
	for name, key := range map[string]keying.Strategy{
		"Default":           nil,
		"New":               keying.New(),
		"of the principal":  keying.New(keying.Principal(nil)),
		"IgnoreCredentials": keying.New(keying.IgnoreCredentials()),
		"one name for all":  keying.New(keying.Principal(func(*http.Request) (string, error) { return "all", nil })),
		"SingleUser":        keying.SingleUser(),
		"a function":        keying.Func(func(dst []byte, r *http.Request) ([]byte, error) { return append(dst, r.URL.Path...), nil }),
	} {
		for _, vary := range []string{"Cookie", "Accept, Cookie", "cookie, Authorization"} {
			t.Run(name+", "+vary, func(t *testing.T) {
				o := &origin{answer: func(r *http.Request) *http.Response {
					return reply(200, sent(r), "Cache-Control: private, max-age=60", "Vary: "+vary)
				}}
				g := newRig(t, o, cache.Options{Key: key})
				for round := range 2 {
					for _, h := range []http.Header{
						{}, {"Cookie": {"a=1"}}, {"Cookie": {"a=2"}}, {"Cookie": {""}}, {"Cookie": {"a=1", "b=1"}}, {"Cookie": {"a=1, b=1"}}, {"Cookie": {"a=1; b=1"}},
						{"cookie": {"a=3"}}, {"Cookie": {"a=1"}, "cookie": {"a=4"}}, {"Cookie": {"a=1"}, "Authorization": {"Bearer x"}}, {"Cookie": {"a=2"}, "Accept": {"x"}},
					} {
						for _, who := range []string{"", "alice"} {
							r, err := http.NewRequestWithContext(cache.WithPrincipal(g.Context(), who), "GET", url, nil)
							require.NoError(t, err)
							r.Header = h.Clone()
							have, _ := g.send(r)
							if have.Body != sent(r) {
								t.Fatalf("%q got the answer for %q", sent(r), have.Body)
							}
							if round == 1 && len(h) == 1 && len(h["Cookie"]) == 1 && h.Get("Cookie") != "a=1, b=1" && have.Outcome != "hit" {
								t.Errorf("%v, %q: %s, want a hit", h, who, have.Outcome)
							}
						}
					}
				}
			})
		}
	}
}
