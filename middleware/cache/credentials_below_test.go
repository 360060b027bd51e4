package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// signer is the key of the context value that has the layer of signed sign a request.
type signer struct{}

// signed is an origin below a layer that signs the requests of some, and says so in resp.Request alone.
func signed(o *origin) *origin {
	below := &origin{}
	below.answer = func(r *http.Request) *http.Response {
		sent := r.Clone(r.Context())
		if who, ok := r.Context().Value(signer{}).(string); ok {
			sent.Header.Set("Authorization", who)
		}
		resp := o.answer(sent)
		resp.Request = sent
		return resp
	}
	return below
}

func (g *rig) signedBy(who, method, url string, fields ...string) (got, cache.Status) {
	g.Helper()
	r, err := http.NewRequestWithContext(context.WithValue(g.Context(), signer{}, who), method, url, nil)
	require.NoError(g, err)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	have, resp := g.send(r)
	s, _ := cache.StatusOf(resp)
	return have, s
}

const below = "credentials were added below the cache"

// A 304 to another one's credentials confirms nothing: neither is what is stored handed out, nor does it become fresh.
func TestCredentialsBelow304ConfirmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response {
			if r.Header.Get("If-None-Match") != "" {
				return reply(304, "", `Etag: "1"`, "Cache-Control: max-age=60")
			}
			return reply(200, "for "+r.Header.Get("Authorization"), `Etag: "1"`, "Cache-Control: max-age=60")
		}
		g := newRig(t, signed(o), cache.Options{})
		have, _ := g.get("http://h/a")
		g.want(have, 200, "for ", "miss", 1)
		time.Sleep(2 * time.Minute)
		have, s := g.signedBy("alice", "GET", "http://h/a")
		if have.Body != "for alice" || s.Stored || !strings.Contains(s.Detail, below) {
			t.Errorf("%+v, %v", have, s)
		}
		have, _ = g.get("http://h/a")
		g.want(have, 200, "for ", "revalidated", 4)
		have, _ = g.signedBy("alice", "GET", "http://h/a", `If-None-Match: "1"`)
		g.want(have, 304, "", "hit", 4) // of what was made for an anonymous request
	})
}

// A stale answer stands in for an error that all would have got, not for the one to another's credentials.
func TestCredentialsBelowErrorServesNoStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		o := &origin{answer: func(*http.Request) *http.Response {
			if broken {
				return reply(503, "down")
			}
			return reply(200, "up", "Cache-Control: max-age=60, stale-if-error=3600")
		}}
		g := newRig(t, signed(o), cache.Options{})
		g.get("http://h/a")
		time.Sleep(2 * time.Minute)
		broken = true
		have, _ := g.signedBy("alice", "GET", "http://h/a")
		if have.Status != 503 {
			t.Errorf("%+v, want the 503 that is alice's", have)
		}
		if have, _ := g.get("http://h/a"); have.Status != 200 || have.Outcome != "stale" {
			t.Errorf("%+v, want the stale answer", have)
		}
	})
}

// A refresh behind the callers' backs that is signed for one of them replaces nothing.
func TestCredentialsBelowRefreshStoresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, "for "+r.Header.Get("Authorization"), "Cache-Control: max-age=60, stale-while-revalidate=3600")
		}}
		g := newRig(t, signed(o), cache.Options{})
		g.get("http://h/a")
		time.Sleep(2 * time.Minute)
		have, _ := g.signedBy("alice", "GET", "http://h/a")
		synctest.Wait()
		g.want(have, 200, "for ", "stale", 2)
		have, _ = g.get("http://h/a")
		synctest.Wait()
		g.want(have, 200, "for ", "stale", 3)
	})
}

// A refresh for a principal whom the program has named is his.
func TestCredentialsBelowRefreshForNamedPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		o := &origin{answer: func(*http.Request) *http.Response {
			n++
			return reply(200, fmt.Sprint(n), "Cache-Control: max-age=60, stale-while-revalidate=3600")
		}}
		g := newRig(t, signed(o), cache.Options{})
		for i, want := range []got{{200, "1", "miss"}, {200, "1", "stale"}, {200, "2", "hit"}} {
			if i == 1 {
				time.Sleep(2 * time.Minute)
			}
			r, _ := http.NewRequestWithContext(cache.WithPrincipal(context.WithValue(t.Context(), signer{}, "alice"), "alice"), "GET", "http://h/a", nil)
			have, _ := g.send(r)
			synctest.Wait()
			if have != want {
				t.Errorf("request %d: %+v, want %+v", i, have, want)
			}
		}
	})
}

// Neither a HEAD, nor a part, nor the answer to a POST that was signed for one is kept.
func TestCredentialsBelowForEachMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response {
			fields := []string{"Cache-Control: max-age=60", `Etag: "1"`, "X-For: " + r.Header.Get("Authorization")}
			body := "0123456789"
			if r.Header.Get("Authorization") != "" {
				body = "abcdefghij"
			}
			switch {
			case r.Method == "HEAD":
				resp := reply(200, "", fields...)
				resp.Header.Set("Content-Length", "10")
				return resp
			case r.Header.Get("Range") == "bytes=0-3":
				return reply(206, body[:4], append(fields, "Content-Range: bytes 0-3/10")...)
			case r.Header.Get("Range") == "bytes=4-":
				return reply(206, body[4:], append(fields, "Content-Range: bytes 4-9/10")...)
			case r.Method == "POST":
				return reply(200, body, append(fields, "Content-Location: "+r.URL.String())...)
			}
			return reply(200, body, fields...)
		}
		g := newRig(t, signed(o), cache.Options{})
		g.signedBy("alice", "POST", "http://h/post")
		g.signedBy("alice", "GET", "http://h/part", "Range: bytes=0-3")
		if n := g.entries(); n != 0 {
			t.Errorf("%d answers that are alice's are stored", n)
		}

		g.get("http://h/part", "Range: bytes=0-3")
		have, _ := g.signedBy("alice", "GET", "http://h/part") // completes no other's part
		if have.Status != 200 || have.Body != "abcdefghij" {
			t.Errorf("%+v", have)
		}
		if have, _ := g.get("http://h/part", "Range: bytes=4-5"); have.Outcome == "hit" {
			t.Error("a part of alice's was stored")
		}

		g.get("http://h/head")
		time.Sleep(2 * time.Minute)
		g.signedBy("alice", "HEAD", "http://h/head")
		_, resp := g.get("http://h/head", "Cache-Control: only-if-cached, max-stale")
		if diff := cmp.Diff("", resp.Header.Get("X-For")); resp.StatusCode != 200 || diff != "" {
			t.Errorf("a HEAD of alice's has changed what is stored: %d %s", resp.StatusCode, diff)
		}
	})
}

// Those who wait for an answer that turns out to be another's ask for themselves, all at once, and for a while none waits.
func TestCredentialsBelowAreNotCollapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, status := range map[string]int{"answers": 200, "errors": 0, "an origin in trouble": 503} {
			c, err := cache.New(cache.Options{})
			require.NoError(t, err)
			var mu sync.Mutex
			asked := map[string]int{}
			rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
				who := r.Context().Value(signer{}).(string)
				mu.Lock()
				asked[who]++
				mu.Unlock()
				r.Header.Set("Authorization", who) // in place, so that an error shows it, too
				time.Sleep(time.Second)
				if status == 0 {
					return nil, errors.New("refused: " + who)
				}
				resp := reply(status, who, "Cache-Control: max-age=60")
				resp.Request = r
				return resp, nil
			}))
			began := time.Now()
			var wg sync.WaitGroup
			for i := range 20 {
				who := fmt.Sprint("user ", i)
				wg.Go(func() {
					r, _ := http.NewRequestWithContext(context.WithValue(t.Context(), signer{}, who), "GET", "http://h/a", nil)
					resp, err := rt.RoundTrip(r)
					if err != nil {
						if err.Error() != "refused: "+who {
							t.Errorf("%s: %s got the error of another: %v", name, who, err)
						}
						return
					}
					var body [100]byte
					n, _ := resp.Body.Read(body[:])
					readAll(resp)
					if string(body[:n]) != who {
						t.Errorf("%s: %s got the answer for %s", name, who, body[:n])
					}
				})
			}
			wg.Wait()
			if took := time.Since(began); took > 2*time.Second || len(asked) != 20 {
				t.Errorf("%s: %d asked, in %v: those who waited must ask together", name, len(asked), took)
			}
			if s := c.Stats(); s.Stored != 0 || s.Collapsed != 0 {
				t.Errorf("%s: %+v", name, s)
			}
			c.Close()
		}
	})
}

// A shared cache keeps an answer whose credentials were added below only with the server's permission, whatever the program says of who asks.
func TestCredentialsBelowNeedPermission(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for control, want := range map[string]string{"max-age=60": "miss", "public, max-age=60": "hit", "s-maxage=60": "hit", "must-revalidate, max-age=60": "hit"} {
			o := &origin{answer: func(*http.Request) *http.Response { return reply(200, "x", "Cache-Control: "+control) }}
			for name, g := range map[string]*rig{
				"one identity": newRig(t, signed(o), cache.Options{Shared: true, OneIdentityBelow: true}),
				"named":        newRig(t, signed(o), cache.Options{Shared: true}),
			} {
				send := func() got {
					ctx := context.WithValue(t.Context(), signer{}, "service")
					if name == "named" {
						ctx = cache.WithPrincipal(ctx, "service")
					}
					r, _ := http.NewRequestWithContext(ctx, "GET", "http://h/a", nil)
					have, _ := g.send(r)
					return have
				}
				send()
				if have := send(); have.Outcome != want {
					t.Errorf("%s, %s: %+v, want a %s", name, control, have, want)
				}
			}
		}
		g := newRig(t, numbered("Cache-Control: max-age=60"), cache.Options{Shared: true})
		for i, field := range []string{"X-Api-Key: a", "Proxy-Authorization: Basic x", "x-auth-token: t"} {
			have, resp := g.get("http://h/own", field)
			if s, _ := cache.StatusOf(resp); s.Stored || have.Body != fmt.Sprint(i+1) {
				t.Errorf("%s: %v", field, s)
			}
		}
		if have, resp := g.get("http://u:p@h/own"); have.Outcome != "miss" || strings.Contains(resp.Header.Get("Cache-Status"), "stored;") {
			t.Errorf("userinfo: %v", resp.Header)
		}
	})
}

// What changes with each request is in no key: one who signs hits, and one whose signature names no key leaves nothing behind.
func TestSignaturesAreInNoKey(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const scope = "/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature="
		for _, vary := range []string{"X-None: ", "Vary: Authorization"} {
			g := newRig(t, numbered("Cache-Control: max-age=60", vary), cache.Options{})
			have, _ := g.get("http://h/a", "Authorization: AWS4-HMAC-SHA256 Credential=alice"+scope+"1")
			g.want(have, 200, "1", "miss", 1)
			have, _ = g.get("http://h/a", "Authorization: AWS4-HMAC-SHA256 Credential=alice"+scope+"2")
			g.want(have, 200, "1", "hit", 1)
			have, _ = g.get("http://h/a", "Authorization: AWS4-HMAC-SHA256 Credential=bob"+scope+"3")
			g.want(have, 200, "2", "miss", 2)
			for i := range 3 {
				have, resp := g.get("http://h/b", "X-Signature: "+fmt.Sprint(i))
				g.want(have, 200, fmt.Sprint(i+3), "bypassed", i+3)
				if s, _ := cache.StatusOf(resp); !strings.Contains(s.Detail, "a signature changes with each request") {
					t.Errorf("%v", s)
				}
			}
			if n := g.entries(); n != 2 {
				t.Errorf("%d entries, want those of the two who are named", n)
			}
			g.want(g.as("carol", "GET", "http://h/b", "X-Signature: 7"), 200, "6", "miss", 6)
			g.want(g.as("carol", "GET", "http://h/b", "X-Signature: 8"), 200, "6", "hit", 6)
		}
	})
}
