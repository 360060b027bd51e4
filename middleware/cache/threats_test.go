package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// What a principal sees was made for that principal, or is marked as public: by every posture, key and marking.
func TestNobodySeesWhatWasMadeForAnother(t *testing.T) {
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
						// An answer to nobody in particular may go to everyone; one to a principal only if it is marked.
						if want := "for " + principal; have.Body != want && !open && !(o.Shared && have.Body == "for ") {
							t.Errorf("shared %v, %q: %q sees %q", o.Shared, marking, principal, have.Body)
						}
					}
				}
			})
		}
	}
}

// No permission to serve stale outweighs a prohibition.
func TestStaleProhibitionsOutweighPermissions(t *testing.T) {
	for _, prohibition := range []string{"no-cache", "must-revalidate", "proxy-revalidate", "s-maxage=1"} {
		for _, permission := range []string{"max-stale", "stale-while-revalidate=60", "stale-if-error=60", "request stale-if-error"} {
			for _, shared := range []bool{false, true} {
				inBubble(t, func(t *testing.T) {
					var request []string
					response := "Cache-Control: max-age=1, " + prohibition
					switch permission {
					case "max-stale":
						request = []string{"Cache-Control: max-stale"}
					case "request stale-if-error":
						request = []string{"Cache-Control: stale-if-error=60"}
					default:
						response += ", " + permission
					}
					o := says("old", response, `Etag: "a"`)
					g := newRig(t, o, cache.Options{Shared: shared})
					g.get(url)
					time.Sleep(2 * time.Second)
					o.answer = func(*http.Request) *http.Response { return reply(503, "down") }
					have, _ := g.get(url, request...)
					prohibited := shared || prohibition == "no-cache" || prohibition == "must-revalidate"
					if prohibited != (have.Body == "down") {
						t.Errorf("shared %v, %s against %s: %v", shared, permission, prohibition, have)
					}
				})
			}
		}
	}
}

func TestWhatIsNotInTheURLIsKeyedOrPassedBy(t *testing.T) {
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

func TestUnsafeMethodsAreNeverAnsweredFromTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		for i, method := range []string{"POST", "POST", "PUT", "PUT", "DELETE", "PATCH", "get", "OPTIONS", "OPTIONS"} {
			have, _ := g.do(method, url)
			g.want(have, 200, "x", "bypassed", i+1)
		}
	})
}

func TestAKeyThatCannotBeMadeIsSaidSo(t *testing.T) {
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

func TestAPanicInAStrategyHoldsNothingUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		panics := true
		key := keying.Func(func(dst []byte, r *http.Request) ([]byte, error) {
			if panics {
				panic("oops")
			}
			return append(dst, r.URL.Path...), nil
		})
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Key: key})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic must reach the caller")
				}
			}()
			g.get(url)
		}()
		panics = false
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
}

// unavailable says whether the origin could not be reached.
type unavailable bool

func (u unavailable) Error() string           { return "unavailable: " + fmt.Sprint(bool(u)) }
func (u unavailable) OriginUnavailable() bool { return bool(u) }

func TestErrorsSayWhetherTheOriginIsUnavailable(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-if-error=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		o.err = fmt.Errorf("wrapped: %w", unavailable(true))
		have, _ := g.get(url)
		g.want(have, 200, "x", "stale", 2)
		o.err = unavailable(false)
		r, _ := http.NewRequest("GET", url, nil)
		if _, err := g.rt.RoundTrip(r); !errors.Is(err, o.err) {
			t.Errorf("error %v, want the layer's own", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o.err, o.delay = context.Canceled, time.Second // so that the caller is gone first
		if _, err := g.rt.RoundTrip(r.WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who has gone gets %v", err)
		}
		time.Sleep(o.delay)
	})
}

func TestDisconnectedOperationIsAnOption(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x")
		g := newRig(t, o, cache.Options{MaxStaleDisconnected: time.Hour})
		g.get(url)
		time.Sleep(59 * time.Minute)
		o.err = errors.New("no route to host")
		have, _ := g.get(url)
		g.want(have, 200, "x", "stale", 2)
		time.Sleep(2 * time.Minute)
		r, _ := http.NewRequest("GET", url, nil)
		_, err := g.rt.RoundTrip(r)
		require.Error(t, err)
	})
}
