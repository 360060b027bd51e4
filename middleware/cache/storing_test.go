package cache_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestRedirectFollowedBelowIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "elsewhere", "Cache-Control: max-age=60")
			resp.Request, _ = http.NewRequest("GET", "http://elsewhere/", nil)
			resp.Request.Response = reply(302, "")
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "elsewhere", "miss", 2)
	})
}

func TestSecretsOfRequestsAreNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		memory := cache.NewMemory(cache.MemoryOptions{})
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Vary: Authorization, Cookie"), cache.Options{Store: memory})
		g.get("http://user:canary1@h/a#canary2", "Authorization: Bearer canary3", "Cookie: s=canary4")
		n := 0
		for e := range g.Entries(t.Context()) {
			n++
			if all := fmt.Sprintf("%q %+v", e.URL(), reflect.ValueOf(e).Elem()); strings.Contains(all, "canary") {
				t.Errorf("a secret in the store: %s", all)
			}
		}
		if n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
	})
}

// RFC 9110 §9.3.3.
func TestPostWithItsOwnContentLocationAnswersGet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Content-Location: /a"), cache.Options{})
		g.do("POST", url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 1)
	})
}
