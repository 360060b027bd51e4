package cache_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// A response that was requested before an invalidation is not stored after it.
func TestInvalidationReachesInFlightResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("old", "Cache-Control: max-age=60"), cache.Options{})
		r, _ := http.NewRequest("GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		g.do("PUT", url)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		have, _ := g.get(url)
		g.want(have, 200, "old", "miss", 3)
	})
}

// The answer to a POST may be stored although the POST itself makes the URI invalid; not so if something else has done that meanwhile.
func TestInvalidationDuringPostKeepsItsAnswerFromTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60", "Content-Location: "+url)
		g := newRig(t, o, cache.Options{})
		answer := o.answer
		o.answer = func(r *http.Request) *http.Response {
			if len(o.asked) == 1 {
				g.DeleteURL(t.Context(), url)
			}
			return answer(r)
		}
		g.do("POST", url)
		have, _ := g.get(url)
		g.want(have, 200, "x", "miss", 2)
	})
}

// RFC 9111 §4.4: for a request with a Host of its own, that host is the origin: a Location there is invalidated, one of the URL's host is not.
func TestInvalidationByLocationOfTheRequestsHost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		location := ""
		o := &origin{answer: func(r *http.Request) *http.Response {
			if r.Method == "POST" {
				return reply(201, "", "Location: "+location)
			}
			return reply(200, "x", "Cache-Control: max-age=60")
		}}
		g := newRig(t, o, cache.Options{})
		send := func(method, path string) got {
			r, _ := http.NewRequestWithContext(t.Context(), method, "http://gateway.test"+path, nil)
			r.Host = "virtual.test"
			have, _ := g.send(r)
			return have
		}
		send("GET", "/made")
		for e := range g.Entries(t.Context()) {
			if e.URL() != "http://virtual.test/made" {
				t.Errorf("the entry shows %s", e.URL())
			}
		}
		location = "http://other.test/made"
		send("POST", "/make")
		g.want(send("GET", "/made"), 200, "x", "hit", 2)
		location = "http://virtual.test/made"
		send("POST", "/make")
		g.want(send("GET", "/made"), 200, "x", "miss", 4)
	})
}
