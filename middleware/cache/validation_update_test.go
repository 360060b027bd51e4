package cache_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// confirming makes an origin whose answer is one of a kind for each value of a field. The first answer has the first fields, all later ones the second,
// and a validation is answered with a 304 or, if replacing, with a 200.
func confirming(by string, replacing bool, first, later []string) *origin {
	o := &origin{}
	o.answer = func(r *http.Request) *http.Response {
		value := r.Header.Get(by)
		fields := append([]string{`Etag: "` + value + `"`}, later...)
		if len(o.asked) == 1 {
			fields = append(fields[:1:1], first...)
		}
		if r.Header.Get("If-None-Match") == `"`+value+`"` && !replacing {
			return reply(304, "", fields...)
		}
		return reply(200, value, fields...)
	}
	return o
}

// RFC 9111 §4.3.4: what a 304 confirms, or a 200 replaces, is gone in its old form. Nothing that has been stored without the new Vary answers others.
func TestValidationBringsAnotherVary(t *testing.T) {
	for _, test := range []struct {
		name, by     string
		first, later string
		windows      string
		request      string
	}{
		{"where there was none", "X-Lang", "", "X-Lang", "", "Cache-Control: no-cache"},
		{"on another field", "X-Lang", "X-Other", "X-Lang", "", "Cache-Control: no-cache"},
		{"on one field more", "X-Lang", "X-Other", "X-Other, X-Lang", "", "Cache-Control: no-cache"},
		{"on credentials", "Cookie", "", "Cookie", "", "Cache-Control: no-cache"},
		{"on the language", "Accept-Language", "", "Accept-Language", "", "Cache-Control: no-cache"},
		{"behind the caller's back", "X-Lang", "", "X-Lang", ", stale-while-revalidate=600", "X-None: 1"},
	} {
		for _, replacing := range []bool{false, true} {
			inBubble(t, func(t *testing.T) {
				first := []string{"Cache-Control: max-age=10" + test.windows}
				if test.first != "" {
					first = append(first, "Vary: "+test.first)
				}
				o := confirming(test.by, replacing, first, []string{"Cache-Control: max-age=600", "Vary: " + test.later})
				g := newRig(t, o, cache.Options{Key: keying.SingleUser()})
				g.get(url, test.by+": de")
				time.Sleep(20 * time.Second)
				g.get(url, test.by+": de", test.request)
				time.Sleep(time.Second)
				synctest.Wait()
				for value, asked := range map[string]int{"de": 0, "en": 1} {
					before := len(o.asked)
					if have, _ := g.get(url, test.by+": "+value); have.Body != value {
						t.Errorf("%s, replacing %v: %s gets %v", test.name, replacing, value, have)
					}
					if n := len(o.asked) - before; n != asked {
						t.Errorf("%s, replacing %v: %s costs %d requests, want %d", test.name, replacing, value, n, asked)
					}
				}
			})
		}
	}
}

// A 304 that confirms what was stored for another request, and brings a Vary on one field more, ends the old form: with which value of that field it was made,
// cannot be known any more.
func TestValidationOfOtherVariantBringsAnotherVary(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response {
			switch {
			case len(o.asked) == 1:
				return reply(200, "A=1, B=1", "Cache-Control: max-age=600", "Vary: A", `Etag: "1"`)
			case len(o.asked) == 2:
				return reply(304, "", "Cache-Control: max-age=600", "Vary: A, B", `Etag: "1"`)
			}
			return reply(200, "A=1, B=2", "Cache-Control: max-age=600", "Vary: A, B", `Etag: "2"`)
		}
		g := newRig(t, o, cache.Options{})
		g.get(url, "A: 1", "B: 1")
		time.Sleep(time.Second)
		synctest.Wait()
		g.get(url, "A: 2", "B: 1")
		if have, _ := g.get(url, "A: 1", "B: 2"); have.Body != "A=1, B=2" {
			t.Errorf("%v", have)
		}
	})
}

// What was hidden by a stored response does not come back when that is removed.
func TestValidationHiddenResponseStaysHidden(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, inOrder(
			reply(200, "old", "Cache-Control: max-age=600", "Vary: A"),
			reply(200, "newer", "Cache-Control: max-age=600"),
			reply(200, "newest", "Cache-Control: no-store"),
			reply(200, "last")), cache.Options{})
		g.get(url, "A: 1")
		time.Sleep(time.Second)
		synctest.Wait()
		g.get(url, "A: 2")
		time.Sleep(time.Second)
		synctest.Wait()
		g.get(url, "A: 1", "Cache-Control: no-cache")
		have, _ := g.get(url, "A: 1")
		g.want(have, 200, "last", "miss", 4)
	})
}

// RFC 9875: the groups of a response are those that the origin said last.
func TestValidationBringsOtherGroups(t *testing.T) {
	for _, replacing := range []bool{false, true} {
		for _, windows := range []string{"", ", stale-while-revalidate=600"} {
			for group, gone := range map[string]bool{"old": false, "new": true} {
				inBubble(t, func(t *testing.T) {
					o := confirming("X", replacing, []string{"Cache-Control: max-age=10" + windows, `Cache-Groups: "old"`}, []string{"Cache-Control: max-age=600", `Cache-Groups: "new"`})
					g := newRig(t, o, cache.Options{})
					g.get(url, "X: x")
					time.Sleep(20 * time.Second)
					g.get(url, "X: x")
					time.Sleep(time.Second)
					synctest.Wait()
					require.NoError(t, g.DeleteGroup(t.Context(), url, group))
					before := len(o.asked)
					g.get(url, "X: x")
					if asked := len(o.asked) > before; asked != gone {
						t.Errorf("replacing %v: after the end of group %q asked %v, want %v", replacing, group, asked, gone)
					}
				})
			}
		}
	}
}

// A No-Vary-Search that a validation brings, or takes away, counts from then on.
func TestValidationBringsNoVarySearch(t *testing.T) {
	for _, replacing := range []bool{false, true} {
		for _, test := range []struct {
			name         string
			first, later string
			asked        int // by a request with another value of the parameter, and by the first one again
		}{
			{"comes", "", `params=("utm")`, 0},
			{"goes", `params=("utm")`, `params=?0`, 1},
			{"is about something else", `params=("utm")`, `params=("other")`, 1},
		} {
			inBubble(t, func(t *testing.T) {
				first := []string{"Cache-Control: max-age=10"}
				if test.first != "" {
					first = append(first, "No-Vary-Search: "+test.first)
				}
				o := confirming("X", replacing, first, []string{"Cache-Control: max-age=600", "No-Vary-Search: " + test.later})
				g := newRig(t, o, cache.Options{})
				g.get(url+"?utm=1", "X: x")
				time.Sleep(20 * time.Second)
				g.get(url+"?utm=1", "X: x")
				if n := g.entries(); n != 1 {
					t.Errorf("%s, replacing %v: %d entries", test.name, replacing, n)
				}
				before := len(o.asked)
				g.get(url+"?utm=2", "X: x")
				g.get(url+"?utm=1", "X: x")
				if n := len(o.asked) - before; n != test.asked {
					t.Errorf("%s, replacing %v: %d requests, want %d", test.name, replacing, n, test.asked)
				}
			})
		}
	}
}
