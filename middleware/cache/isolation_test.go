package cache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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

// What the origin says to one principal about a response that is for all stays with that principal, unless the origin says that it is for all, too (RFC 9111 §3.5).
func TestUpdateForAPrincipalNeedsPermission(t *testing.T) {
	const shared, tag, none = "Cache-Control: public, max-age=60", `Etag: "a"`, "Vary: Accept"
	for _, test := range []struct {
		name, method, fields string
		permission           string
		kept                 bool
	}{
		{"304", "GET", "Authorization: alice", none, false},
		{"304 to a cookie", "GET", "Cookie: alice", none, false},
		{"304 with permission", "GET", "Authorization: alice", shared, true},
		{"304 that must be validated again", "GET", "Authorization: alice", "Cache-Control: must-revalidate, max-age=60", true},
		{"304 to a cookie that must be validated again", "GET", "Cookie: alice", "Cache-Control: must-revalidate, max-age=60", false},
		{"304 without credentials", "GET", "X-Trace: alice", none, true},
		{"HEAD", "HEAD", "Authorization: alice", none, false},
		{"HEAD with permission", "HEAD", "Authorization: alice", shared, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, &origin{answer: func(r *http.Request) *http.Response {
					who := r.Header.Get("Authorization") + r.Header.Get("Cookie") + r.Header.Get("X-Trace")
					switch {
					case who == "":
						return reply(200, "for all", shared, tag)
					case r.Method == "HEAD":
						return reply(200, "", "X-Account: "+who, tag, test.permission)
					}
					return reply(304, "", "X-Account: "+who, tag, test.permission)
				}}, cache.Options{Shared: true})
				g.get(url)
				_, resp := g.do(test.method, url, test.fields, "Cache-Control: no-cache")
				if got := resp.Header.Get("X-Account"); got != "alice" {
					t.Errorf("the answer to alice is for %q", got)
				}
				have, resp := g.get(url)
				if got := resp.Header.Get("X-Account"); have.Body != "" && (got == "alice") != test.kept {
					t.Errorf("an answer to all has the account %q", got)
				}
			})
		})
	}
}

// The same of bytes that complete a stored part: the whole is the caller's, and the part stays.
func TestCompletionForAPrincipalNeedsPermission(t *testing.T) {
	for permission, outcome := range map[string]string{"Vary: Accept": "miss", "Cache-Control: public, max-age=60": "hit"} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, &origin{answer: func(r *http.Request) *http.Response {
				if r.Header.Get("Range") == "bytes=0-2" {
					return reply(206, "abc", "Cache-Control: public, max-age=60", `Etag: "a"`, "Content-Range: bytes 0-2/6")
				}
				return reply(206, "def", permission, `Etag: "a"`, "Content-Range: bytes 3-5/6", "X-Account: "+r.Header.Get("Authorization"))
			}}, cache.Options{Shared: true})
			g.get(url, "Range: bytes=0-2")
			have, resp := g.get(url, "Authorization: alice")
			g.want(have, 200, "abcdef", "miss", 2)
			if resp.Header.Get("X-Account") != "alice" {
				t.Errorf("the answer to alice has %v", resp.Header)
			}
			have, resp = g.get(url)
			if have.Body != "abcdef" || have.Outcome != outcome || (resp.Header.Get("X-Account") == "alice") != (outcome == "hit") {
				t.Errorf("%q: an answer to all is %+v, with %v", permission, have, resp.Header)
			}
		})
	}
}

// A private cache keeps what is for one person, under keys that a shared cache may make as well.
func TestMemoryKeepsResponsesOfOneKindOfCache(t *testing.T) {
	for _, shared := range []bool{false, true} {
		m := cache.NewMemory(cache.MemoryOptions{})
		for _, second := range []bool{shared, shared} {
			if _, err := cache.New(cache.Options{Store: m, Shared: second}); err != nil {
				t.Errorf("shared %v: %v", shared, err)
			}
		}
		var refused *cache.OptionError
		if _, err := cache.New(cache.Options{Store: m, Shared: !shared, Key: keying.SingleUser()}); !errors.As(err, &refused) || refused.Option != "Store" {
			t.Errorf("shared %v, and then %v: %v", shared, !shared, err)
		}
	}
}

// A cache that New refuses has no Memory: caches of either kind may have it afterwards.
func TestRefusedOptionsLeaveTheMemory(t *testing.T) {
	for name, o := range map[string]cache.Options{
		"a size":       {MaxEntryBytes: -1},
		"a duration":   {StoreTimeout: -1},
		"a lease":      {Lease: time.Minute},
		"a mode":       {Mode: 200},
		"event stream": {EventStreams: 200},
		"a hash key":   {VaryHashKey: []byte("short")},
		"a method":     {Methods: []string{"get"}},
		"a status":     {Statuses: []int{99}},
		"a field":      {TargetedFields: []string{"a b"}},
	} {
		for _, shared := range []bool{false, true} {
			o.Store, o.Shared = cache.NewMemory(cache.MemoryOptions{}), shared
			if _, err := cache.New(o); err == nil {
				t.Errorf("%s: no error", name)
			}
			if _, err := cache.New(cache.Options{Store: o.Store, Shared: !shared}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// boaster is a body that says it has read more than it has, as a faulty decoder may.
type boaster struct{ done bool }

func (b *boaster) Read(p []byte) (int, error) {
	if b.done {
		return 0, io.EOF
	}
	b.done = true
	return min(len(p), 200), nil
}

func (b *boaster) Close() error { return nil }

// Buffers are used again. What one body has left in them is in no other.
func TestBodyThatMiscountsShowsNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, &origin{answer: func(r *http.Request) *http.Response {
			resp := reply(200, strings.Repeat("secret", 50), "Cache-Control: max-age=60")
			if r.Header.Get("Authorization") == "bob" {
				resp.Body = &boaster{}
			}
			resp.ContentLength = -1
			return resp
		}}, cache.Options{})
		for i := range 10 {
			g.get(fmt.Sprint(url, i), "Authorization: alice")
			if have, _ := g.get(fmt.Sprint(url, i), "Authorization: bob"); strings.Contains(have.Body, "secret") {
				t.Fatalf("bob gets %q", have.Body)
			}
		}
	})
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
