package cache_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// What a principal sees was made for that principal, or is marked as public: by every posture, key and marking.
func TestPrincipalsNeverShareUnsharedResponses(t *testing.T) {
	markings := []string{"", "public", "s-maxage=60", "must-revalidate", "public=1x, private", "s-maxage=x", "s-maxage =60", "\"public\"", "private", `private="`, "no-cache=\""}
	principals := []string{"", "A", "B", "C"}
	for i, o := range []cache.Options{{}, {Shared: true}, {Key: keying.New(keying.Prefix("v"))}, {Shared: true, Key: keying.Default()}, {}, {Shared: true}} {
		credentials := [...]string{"Authorization", "Cookie"}[i/4]
		for _, marking := range markings {
			inBubble(t, func(t *testing.T) {
				origin := &origin{answer: func(r *http.Request) *http.Response {
					return reply(200, "for "+r.Header.Get(credentials), "Cache-Control: max-age=60, "+marking)
				}}
				g := newRig(t, origin, o)
				open := o.Shared && (marking == "public" || marking == "s-maxage=60" || marking == "must-revalidate" && credentials == "Authorization")
				for range 2 {
					for _, principal := range principals {
						var have got
						if principal == "" {
							have, _ = g.get(url)
						} else {
							have, _ = g.get(url, credentials+": "+principal)
						}
						// An answer to an anonymous request may go to everyone; one to a principal only if it is marked.
						if want := "for " + principal; have.Body != want && !open && !(o.Shared && have.Body == "for ") {
							t.Errorf("shared %v, %q: %q sees %q", o.Shared, marking, principal, have.Body)
						}
					}
				}
			})
		}
	}
}

func TestRequestDetailsOutsideTheURLAreKeyedOrBypass(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		other, _ := http.NewRequest("GET", url, nil)
		other.Host = "other.example"
		have, _ := g.send(other)
		g.want(have, 200, "x", "miss", 2)
		body, _ := http.NewRequest("GET", url, strings.NewReader("content"))
		have, _ = g.send(body)
		g.want(have, 200, "x", "bypassed", 3)
		have, _ = g.get(url, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT")
		g.want(have, 200, "x", "bypassed", 4)
		have, _ = g.get(url + "#fragment")
		g.want(have, 200, "x", "hit", 4)
		have, _ = g.get(url + "?")
		g.want(have, 200, "x", "miss", 5)
	})
}

func TestKeyErrorIsReported(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		key := keying.Func(func([]byte, *http.Request) ([]byte, error) { return nil, errors.New("no tenant") })
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Key: key})
		g.get(url)
		have, resp := g.get(url)
		g.want(have, 200, "x", "bypassed", 2)
		if s, _ := cache.StatusOf(resp); s.Detail != "no key: no tenant" {
			t.Errorf("detail %q", s.Detail)
		}
	})
}

// unavailable says whether the origin could not be reached.
type unavailable bool

func (u unavailable) Error() string { return "unavailable: " + fmt.Sprint(bool(u)) }

func (u unavailable) OriginUnavailable() bool { return bool(u) }
