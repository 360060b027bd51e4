package cache_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestValidationOffersAllVariantsAndFreshensTheConfirmedOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		g := newRig(t, versions(&version, "Vary: A"), cache.Options{})
		g.get(url, "A: x")
		version = "2"
		g.get(url, "A: y")
		time.Sleep(11 * time.Second)
		version = "1"
		have, _ := g.get(url, "A: y") // the origin now has for y what it had for x
		g.want(have, 200, "1", "revalidated", 3)
		if tags := g.origin.asked[2].Header.Get("If-None-Match"); tags != `"1", "2"` {
			t.Errorf("offered tags %s", tags)
		}
		have, _ = g.get(url, "A: y")
		g.want(have, 200, "1", "hit", 3)
		have, _ = g.get(url, "A: z") // fits no variant: they are offered all the same
		g.want(have, 200, "1", "revalidated", 4)
	})
}

func TestValidation304WithUnknownETagFetchesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") != "" {
				return reply(304, "", `Etag: "other"`)
			}
			return reply(200, "body", `Etag: "a"`, "Cache-Control: max-age=1")
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "body", "refreshed", 3)
	})
}

func TestValidation304WithNoStoreServesOnceAndRemoves(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") != "" {
				return reply(304, "", `Etag: "a"`, "Cache-Control: no-store")
			}
			return reply(200, "body", `Etag: "a"`, "Cache-Control: max-age=1")
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "body", "revalidated", 2)
		have, _ = g.get(url)
		g.want(have, 200, "body", "miss", 3)
	})
}

func TestUnsolicited304IsForwardedAndNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		g := newRig(t, versions(&version), cache.Options{})
		have, _ := g.get(url, `If-None-Match: "1"`)
		g.want(have, 304, "", "miss", 1)
		have, _ = g.get(url)
		g.want(have, 200, "1", "miss", 2)
	})
}

func TestConditionalRequestIsAnsweredFromStoredResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		g := newRig(t, versions(&version), cache.Options{})
		g.get(url)
		have, resp := g.get(url, `If-None-Match: "0", W/"1"`)
		g.want(have, 304, "", "hit", 1)
		if resp.Header.Get("Etag") != `"1"` || resp.ContentLength != 0 || resp.Header.Get("Date") == "" {
			t.Errorf("304 with %v", resp.Header)
		}
		have, _ = g.get(url, `If-None-Match: "0"`)
		g.want(have, 200, "1", "hit", 1)
		time.Sleep(11 * time.Second)
		have, _ = g.get(url, `If-None-Match: "1"`)
		g.want(have, 304, "", "revalidated", 2)
		time.Sleep(11 * time.Second)
		version = "2"
		have, _ = g.get(url, `If-None-Match: "2"`) // the caller has what the store does not
		g.want(have, 304, "", "revalidated", 3)
		have, _ = g.get(url)
		g.want(have, 200, "2", "refreshed", 4)
	})
}

func TestValidation304OfRedirectedURIConfirmsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") == "" {
				return reply(200, "body", `Etag: "a"`, "Cache-Control: max-age=1")
			}
			resp := reply(304, "", `Etag: "a"`)
			resp.Request, _ = http.NewRequest("GET", "http://elsewhere/", nil)
			resp.Request.Response = reply(302, "")
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		have, _ := g.get(url)
		g.want(have, 200, "body", "refreshed", 3)
	})
}
