package cache_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestOptionsChangeWhatIsStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Statuses: []int{404}})
		g.get(url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 2)

		allowed := true
		g = newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Filter: func(*http.Request, *http.Response) bool { return allowed }})
		g.get(url)
		have, _ = g.get(url)
		g.want(have, 200, "x", "hit", 1)
		allowed = false // counts for what is stored already, too
		have, _ = g.get(url)
		g.want(have, 200, "x", "miss", 2)

		g = newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Methods: []string{"GET", "POST"}, Key: keying.New(keying.Body(keying.BodyOptions{}))})
		post := func(content string) got {
			r, _ := http.NewRequest("POST", url, strings.NewReader(content))
			r.Header.Set("Content-Type", "application/json")
			have, _ := g.send(r)
			return have
		}
		g.want(post(`{"a":1}`), 200, "x", "miss", 1)
		g.want(post(`{ "a": 1 }`), 200, "x", "hit", 1)
		g.want(post(`{"a":2}`), 200, "x", "miss", 2)
	})
}

func TestInvalidOptionsAreNamedInErrors(t *testing.T) {
	for name, o := range map[string]cache.Options{
		"StaleWhileRevalidate": {StaleWhileRevalidate: -1},
		"StaleIfError":         {StaleIfError: -1},
		"MaxStaleDisconnected": {MaxStaleDisconnected: -1},
		"RefreshTimeout":       {RefreshTimeout: -1},
		"StoreTimeout":         {StoreTimeout: -1},
		"L1TTL":                {L1TTL: -1},
		"Lease":                {Lease: -1},
		`give "GET"`:           {Methods: []string{"get"}},
		`give "POST"`:          {Methods: []string{"GET", "Post"}},
	} {
		if _, err := cache.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %s", err, name)
		}
	}
}

func TestInvalidOptionsAreErrors(t *testing.T) {
	for _, o := range []cache.Options{{MaxEntryBytes: -1}, {StaleIfError: -1}, {StaleWhileRevalidate: -1}, {MaxStaleDisconnected: -1}, {RefreshTimeout: -1},
		{Methods: []string{"G T"}}, {Statuses: []int{100}}, {Statuses: []int{600}}, {TargetedFields: []string{""}}} {
		if _, err := cache.New(o); err == nil || !strings.HasPrefix(err.Error(), "cache: ") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

func TestOptionsStatusesLeaveNoEntryOfOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Statuses: []int{404}})
		g.get(url)
		if n := g.entries(); n != 0 {
			t.Errorf("%d responses are stored", n)
		}
	})
}
