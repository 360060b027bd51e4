package cache_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
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
