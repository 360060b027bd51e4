package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// as sends a request for a named principal.
func (g *rig) as(name, method, url string, fields ...string) got {
	g.Helper()
	r, err := http.NewRequestWithContext(cache.WithPrincipal(g.Context(), name), method, url, nil)
	require.NoError(g, err)
	for _, line := range fields {
		field, value, _ := strings.Cut(line, ": ")
		r.Header.Add(field, value)
	}
	have, _ := g.send(r)
	return have
}

// numbered answers with the number of the request.
func numbered(fields ...string) *origin {
	o := &origin{}
	o.answer = func(*http.Request) *http.Response { return reply(200, fmt.Sprint(len(o.asked)), fields...) }
	return o
}

func TestPrincipalIsInEveryKey(t *testing.T) {
	for name, options := range map[string]cache.Options{
		"default":     {},
		"one person":  {Key: keying.SingleUser()},
		"of parts":    {Key: keying.New(keying.Method())},
		"anyone":      {Key: keying.New(keying.IgnoreCredentials())},
		"a function":  {Key: keying.Func(func(dst []byte, r *http.Request) ([]byte, error) { return append(dst, r.URL.Path...), nil })},
		"shared":      {Shared: true},
		"search keys": {Key: keying.New(keying.IgnoreCredentials())},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) { // a byte store is waited for by a clock
				fields := []string{"Cache-Control: public, max-age=60"}
				if name == "search keys" {
					fields = append(fields, "No-Vary-Search: params")
				}
				g := newRig(t, numbered(fields...), options)
				g.want(g.as("alice", "GET", "http://h/a"), 200, "1", "miss", 1)
				g.want(g.as("bob", "GET", "http://h/a"), 200, "2", "miss", 2)
				g.want(g.as("", "GET", "http://h/a"), 200, "3", "miss", 3)
				g.want(g.as("alice", "GET", "http://h/a"), 200, "1", "hit", 3)
				g.want(g.as("bob", "GET", "http://h/a"), 200, "2", "hit", 3)
				g.want(g.as("", "GET", "http://h/a"), 200, "3", "hit", 3)
				if name == "default" || name == "of parts" { // which keep credentials apart as well
					g.want(g.as("alice", "GET", "http://h/a", "Authorization: x"), 200, "4", "miss", 4)
				}
			})
		})
	}
}

// In a scheme that nothing is known of, what follows "app:" may be a signature, but a user or a token of the app's as well: none share by the name of the app.
func TestPrincipalsOfOneAppDoNotShare(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, test := range []struct{ alice, bob, other string }{
			{"ACME app:alice", "ACME app:bob", "Date: Mon, 01 Jan 2024 00:00:00 GMT"},
			{"ACME app:alice", "ACME app:bob", "X-Acme-Timestamp: 1"},
			{"HMAC app:alice:c2ln", "HMAC app:bob:c2ln", "X-None: "},
		} {
			g := newRig(t, numbered("Cache-Control: max-age=60"), cache.Options{})
			have, _ := g.get("http://h/a", test.other, "Authorization: "+test.alice)
			g.want(have, 200, "1", "bypassed", 1)
			have, resp := g.get("http://h/a", test.other, "Authorization: "+test.bob)
			g.want(have, 200, "2", "bypassed", 2)
			if s, _ := cache.StatusOf(resp); !strings.Contains(s.Detail, "names no key") {
				t.Errorf("%s: %v", test.bob, s)
			}
			g.want(g.as("alice", "GET", "http://h/a", test.other, "Authorization: "+test.alice), 200, "3", "miss", 3)
			g.want(g.as("alice", "GET", "http://h/a", test.other, "Authorization: "+test.alice+"2"), 200, "3", "hit", 3)
		}
	})
}

func TestPrincipalOfTheInnermostContextCounts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, numbered("Cache-Control: max-age=60"), cache.Options{})
		send := func(ctx context.Context) got {
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://h/a", nil)
			have, _ := g.send(r)
			return have
		}
		g.want(g.as("alice", "GET", "http://h/a"), 200, "1", "miss", 1)
		outer := cache.WithPrincipal(t.Context(), "bob")
		g.want(send(cache.WithPrincipal(outer, "alice")), 200, "1", "hit", 1)
		g.want(send(cache.WithPrincipal(outer, "")), 200, "2", "miss", 2)
		g.want(send(t.Context()), 200, "2", "hit", 2)
		g.want(send(cache.WithMode(outer, cache.ModeOnlyIfCached)), 504, "", "refused", 2)
		g.want(send(cache.WithMode(cache.WithPrincipal(t.Context(), "alice"), cache.ModeOnlyIfCached)), 200, "1", "hit", 2)
	})
}

// An unsafe request ends what is stored for every principal; Delete and Contains are about one.
func TestPrincipalUnsafeMethodInvalidatesForAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, numbered("Cache-Control: max-age=60"), cache.Options{})
		g.as("alice", "GET", "http://h/a")
		g.as("bob", "GET", "http://h/a")
		of := func(name string) *http.Request {
			r, _ := http.NewRequestWithContext(cache.WithPrincipal(t.Context(), name), "GET", "http://h/a", nil)
			return r
		}
		if !g.Contains(of("alice")) || g.Contains(of("")) {
			t.Error("Contains does not go by the principal")
		}
		require.NoError(t, g.Delete(t.Context(), of("alice")))
		if g.Contains(of("alice")) || !g.Contains(of("bob")) {
			t.Error("Delete does not go by the principal")
		}
		g.as("alice", "GET", "http://h/a")
		g.as("carol", "POST", "http://h/a")
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries have survived a POST", n)
		}
	})
}

// Requests for one answer at one time share an exchange with those of the same principal only.
func TestPrincipalsAreNotCollapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{delay: time.Second}
		var mu sync.Mutex
		byName := map[string]int{}
		o.answer = func(r *http.Request) *http.Response { return reply(200, "x", "Cache-Control: max-age=60") }
		c, err := cache.New(cache.Options{Key: keying.SingleUser()})
		require.NoError(t, err)
		defer c.Close()
		rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			byName[r.Header.Get("X-Who")]++
			mu.Unlock()
			time.Sleep(time.Second)
			return o.answer(r), nil
		}))
		var wg sync.WaitGroup
		for i := range 20 {
			name := [...]string{"alice", "bob"}[i%2]
			wg.Go(func() {
				r, _ := http.NewRequestWithContext(cache.WithPrincipal(t.Context(), name), "GET", "http://h/a", nil)
				r.Header.Set("X-Who", name)
				resp, err := rt.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				readAll(resp)
			})
		}
		wg.Wait()
		if byName["alice"] != 1 || byName["bob"] != 1 {
			t.Errorf("the origin saw %v, want one request of each", byName)
		}
	})
}

// Nothing of a principal's name stands in a store.
func TestPrincipalNameIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 20)
		g := newRig(t, numbered("Cache-Control: max-age=60"), cache.Options{Store: m})
		g.as("alice@example.com", "GET", "http://h/a")
		g.want(g.as("alice@example.com", "GET", "http://h/a"), 200, "1", "hit", 1)
		for _, kind := range [...]store.Kind{store.KindEntry, store.KindGeneration, store.KindSetup} {
			require.NoError(t, m.Range(t.Context(), kind, func(key string, r store.Record) bool {
				if strings.Contains(key+r.Label+string(r.Data), "alice") {
					t.Errorf("the name stands in the record %q", key)
				}
				return true
			}))
		}
	})
}
