package cache_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

func TestNoVarySearchAnswersOtherQueries(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", `No-Vary-Search: params=("utm")`), cache.Options{})
		g.get("http://h/?a=1&utm=2")
		have, _ := g.get("http://h/?a=1&utm=3")
		g.want(have, 200, "x", "hit", 1)
		have, _ = g.get("http://h/?a=2&utm=3")
		g.want(have, 200, "x", "miss", 2)
		have, _ = g.get("http://h/?a=1")
		g.want(have, 200, "x", "hit", 2)
		have, _ = g.get("http://h/?a=1", "Authorization: x")
		g.want(have, 200, "x", "miss", 3)
		time.Sleep(61 * time.Second)
		have, _ = g.get("http://h/?a=1&utm=9")
		g.want(have, 200, "x", "refreshed", 4)
		have, _ = g.get("http://h/?a=1&utm=10")
		g.want(have, 200, "x", "hit", 4)
		g.do("POST", "http://h/?a=1")
		have, _ = g.get("http://h/?a=1&utm=10")
		g.want(have, 200, "x", "miss", 6)
	})
}

// Who asks stays in the key where the query says it, whatever a server says of the query.
func TestNoVarySearchKeepsPrincipalsApart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		tenant := keying.New(keying.Principal(func(r *http.Request) (string, error) { return r.URL.Query().Get("tenant"), nil }))
		custom := keying.Func(func(dst []byte, r *http.Request) ([]byte, error) {
			return append(append(dst, r.URL.Path...), r.URL.Query().Get("tenant")...), nil
		})
		for name, test := range map[string]struct {
			key   keying.Strategy
			param string
		}{
			"a secret parameter":  {nil, "api_key"},
			"in a shared cache":   {keying.SingleUser(), "access_token"},
			"the program's name":  {tenant, "tenant"},
			"a strategy of one's": {custom, "tenant"},
		} {
			for _, says := range []string{"params", `params, except=("page")`, `params=("` + test.param + `" "t")`} {
				g := newRig(t, numbered("Cache-Control: max-age=60", "No-Vary-Search: "+says), cache.Options{Key: test.key})
				url := func(who, t string) string { return "http://h/a?" + test.param + "=" + who + "&t=" + t }
				for i, who := range []string{"alice", "bob"} {
					if have, _ := g.get(url(who, "1")); have.Body != fmt.Sprint(i+1) {
						t.Errorf("%s, %s: %s got %+v", name, says, who, have)
					}
				}
				if have, _ := g.get(url("alice", "2")); have != (got{200, "1", "hit"}) {
					t.Errorf("%s, %s: what does not count has been counted: %+v", name, says, have)
				}
			}
		}
	})
}

// An answer that says No-Vary-Search for the first time replaces one under its own key, whose lookup read nothing of other queries. Another process invalidates
// one of those before the request is sent, and long enough before that the times of both do not show it.
func TestNoVarySearchFromAValidationKeepsInvalidationsOfOtherProcesses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response {
			switch {
			case r.Method == "POST":
				version = "3"
				return reply(200, "")
			case r.Header.Get("If-None-Match") != "":
				return reply(200, "2", "Cache-Control: max-age=60", `Etag: "2"`, "No-Vary-Search: params")
			}
			return reply(200, version, "Cache-Control: max-age=1", `Etag: "1"`)
		}
		s := storetest.NewMap(0)
		other := newRig(t, o, cache.Options{Store: s})
		pause := false
		g := newRig(t, o, cache.Options{Store: s, Filter: func(*http.Request, *http.Response) bool {
			if pause { // between the lookup and the request to the origin
				pause = false
				other.do("POST", "http://h/a?x=2")
				time.Sleep(10 * time.Second)
			}
			return true
		}})
		g.get("http://h/a?x=1")
		g.get("http://h/a?x=1") // is a hit: the next lookup reads what is under this key only
		time.Sleep(2 * time.Second)
		pause = true
		have, _ := g.get("http://h/a?x=1")
		g.want(have, 200, "2", "refreshed", 3)
		have, _ = g.get("http://h/a?x=2")
		g.want(have, 200, "3", "miss", 4)

		time.Sleep(2 * time.Second) // the old answer is there, and the lookup reads more now
		have, _ = g.get("http://h/a?x=1")
		g.want(have, 200, "2", "refreshed", 5)
		have, _ = g.get("http://h/a?x=1")
		g.want(have, 200, "2", "hit", 5)
	})
}
