package cache_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// RFC 9111 §5.2.2.4: fields that no-cache names are not reused, but those of a confirmation reach the caller.
func TestNoCacheFieldsComeFromTheValidation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, inOrder(
			reply(200, "x", `Cache-Control: max-age=1, no-cache="set-cookie"`, `Etag: "a"`, "Set-Cookie: a=1"),
			reply(304, "", `Etag: "a"`, "Set-Cookie: a=2"),
		), cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, resp := g.get(url)
		g.want(have, 200, "x", "revalidated", 2)
		if got := resp.Header.Get("Set-Cookie"); got != "a=2" {
			t.Errorf("Set-Cookie %q of the validated answer", got)
		}
		have, resp = g.get(url)
		g.want(have, 200, "x", "hit", 2)
		if got := resp.Header["Set-Cookie"]; got != nil {
			t.Errorf("Set-Cookie %q of a hit", got)
		}
	})
}

// RFC 9111 §4: the most recent response is used, also where Date cannot tell.
func TestSelectionPrefersTheLaterResponseWithinASecond(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, inOrder(reply(200, "old", "Cache-Control: max-age=60"), reply(200, "new", "Cache-Control: max-age=60", "Vary: A")), cache.Options{})
		g.get(url)
		time.Sleep(time.Millisecond)
		g.get(url, "Cache-Control: no-cache")
		have, _ := g.get(url)
		g.want(have, 200, "new", "hit", 2)
	})
}

// A 304 without validators, which may answer the caller's own condition, confirms nothing.
func TestValidationBare304ToCallersConditionFetchesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, inOrder(reply(200, "old", "Cache-Control: max-age=1", `Etag: "a"`), reply(304, ""), reply(200, "new", `Etag: "b"`)), cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url, `If-None-Match: "b"`)
		g.want(have, 200, "new", "refreshed", 3)
	})
}

// RFC 9111 §3.3, §3.4: bytes without a proof are not stored.
func TestIncompletePartsOfUnknownExtentAreNotStored(t *testing.T) {
	undeclared := reply(206, "456", "Content-Range: bytes 4-6/10", "Cache-Control: max-age=60")
	undeclared.ContentLength = -1
	missing := reply(200, "", "Cache-Control: max-age=60", "Content-Length: 10")
	missing.Body, missing.ContentLength = http.NoBody, 10
	for name, first := range map[string]*http.Response{"a part of undeclared length": undeclared, "no body where ten bytes are declared": missing} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, inOrder(first, reply(200, "whole")), cache.Options{})
				g.get(url, "Range: bytes=4-6")
				have, _ := g.get(url, "Range: bytes=4-6")
				g.want(have, 200, "whole", "miss", 2)
			})
		})
	}
}

// RFC 9111 §5.2.1.7: the origin is not asked, behind the caller's back either.
func TestOnlyIfCachedStartsNoRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=1, stale-while-revalidate=60"), cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url, "Cache-Control: only-if-cached")
		synctest.Wait()
		g.want(have, 200, "x", "stale", 1)
	})
}

// RFC 9111 §5.2.1.7: what the store cannot answer is refused, unless the cache is not there for it.
func TestOnlyIfCachedIsObeyedBesideOtherDirectives(t *testing.T) {
	for _, test := range []struct {
		method, line string
		status       int
	}{
		{"GET", "If-Match: *", 504},
		{"GET", "Range: bytes=0-0, 2-2", 504},
		{"GET", "Cache-Control: no-store", 504},
		{"GET", "Upgrade: a", 504},
		{"POST", "A: b", 200},
	} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
			g.get(url)
			have, _ := g.do(test.method, url, "Cache-Control: only-if-cached", test.line)
			if have.Status != test.status {
				t.Errorf("%s with %s: %v, want %d", test.method, test.line, have, test.status)
			}
		})
	}
}

// RFC 9110 §13.2.1: a condition applies to every successful stored response.
func TestConditionalRequestByStoredStatus(t *testing.T) {
	for status, want := range map[int]int{200: 304, 203: 304, 204: 304, 301: 301, 404: 404} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, inOrder(reply(status, "", "Cache-Control: max-age=60", `Etag: "a"`)), cache.Options{})
			g.get(url)
			have, _ := g.get(url, `If-None-Match: "a"`)
			g.want(have, want, "", "hit", 1)
		})
	}
}

// No permission to serve stale outweighs a prohibition.
func TestStaleProhibitionOutweighsPermission(t *testing.T) {
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
