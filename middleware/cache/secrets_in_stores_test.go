package cache_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A response that does not vary on the whole query is stored without the values of its own.
func TestSecretsNoVarySearchHidesQueryValues(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", "Cache-Control: max-age=60", `No-Vary-Search: key-order, params=("utm")`)
		g := newRig(t, o, cache.Options{Store: m})
		g.get("http://h/a?token=canary&utm=canary2&b=1")
		if stored := all(t, m); strings.Contains(stored, "canary") {
			t.Errorf("in the store: %q", stored)
		}
		for u, outcome := range map[string]string{
			"http://h/a?b=1&token=canary":             "hit",
			"http://h/a?utm=other&b=1&token=canar%79": "hit",
			"http://h/a?b=1&token=another":            "miss",
			"http://h/a?token=canary&token=&b=1":      "miss",
		} {
			r := must(http.NewRequest("GET", u, nil))
			if got := newRig(t, o, cache.Options{Store: m.Open()}).Contains(r); got != (outcome == "hit") {
				t.Errorf("%s: found %t", u, got)
			}
		}
	})
}

// What a response varies on is kept in clear only where everyone may know it.
func TestSecretsSelectingFieldsAreHashed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		names := []string{"Authorization", "Cookie", "X-Api-Key", "X-Signature", "X-Jwt", "Referer", "X-User"}
		memory := cache.NewMemory(cache.MemoryOptions{})
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Vary: "+strings.Join(names, ", ")), cache.Options{Store: memory})
		var fields []string
		for _, name := range names {
			fields = append(fields, name+": s3cret")
		}
		g.get(url, fields...)
		have, _ := g.get(url, fields...)
		g.want(have, 200, "x", "hit", 1)
		fields[6] = "X-User: another"
		have, _ = g.get(url, fields...)
		g.want(have, 200, "x", "miss", 2)
		for e := range g.Entries(t.Context()) {
			if shown := fmt.Sprintf("%+v", reflect.ValueOf(e).Elem()); strings.Contains(shown, "s3cret") {
				t.Errorf("in clear: %s", shown)
			}
		}
	})
}

// No secret of a request stands in a store: neither in keys nor in records, nor in what people are shown.
func TestSecretsAreInNoKeyOrRecord(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		g := newRig(t, says(strings.Repeat("x", 70_000), "Cache-Control: max-age=60", `Cache-Groups: "g"`, "Vary: Authorization, Cookie, X-Api-Key"), cache.Options{Store: m, Key: keying.SingleUser()})
		g.get("http://user:canary0@h/a?token=canary1#canary2", "Authorization: Bearer canary3", "Cookie: s=canary4", "X-Api-Key: canary5")
		g.do("POST", "http://user:canary0@h/a?token=canary6", "Authorization: Bearer canary7")
		if stored := all(t, m); strings.Contains(stored, "canary") || !strings.Contains(stored, "http://h/a?token=REDACTED") {
			t.Errorf("in the store: %q", stored)
		}
		for u := range g.URLs(t.Context()) {
			if u != "http://h/a?token=REDACTED" {
				t.Errorf("URL %s", u)
			}
		}
	})
}

// A key that has the cookie finds what varies on it, whatever secret its hash was made with. Under any other key the hash decides.
func TestSecretsCookieInTheKeyNeedsNoHash(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			key  keying.Strategy
			want []string
		}{
			"Default":    {keying.Default(), []string{"miss", "hit", "hit"}},
			"New":        {keying.New(), []string{"miss", "hit", "hit"}},
			"SingleUser": {keying.SingleUser(), []string{"miss", "hit", "miss"}},
		} {
			m := storetest.NewMap(1 << 24)
			var outcomes []string
			for _, secret := range []string{"sixteen bytes of a", "sixteen bytes of a", "sixteen bytes of b"} {
				g := newRig(t, says("x", "Cache-Control: private, max-age=60", "Vary: Cookie"), cache.Options{Store: m, Key: test.key, VaryHashKey: []byte(secret)})
				have, _ := g.get(url, "Cookie: a=1")
				outcomes = append(outcomes, have.Outcome)
			}
			if !slices.Equal(outcomes, test.want) {
				t.Errorf("%s: got %v, want %v", name, outcomes, test.want)
			}
		}
	})
}

// The user's own secret is not in the store, and what varies on credentials is found by all who have the same.
func TestSecretsVaryHashKeyIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 24)
		o := says("x", "Cache-Control: max-age=60", "Vary: X-Token")
		outcome := func(secret string) string {
			g := newRig(t, o, cache.Options{Store: m, VaryHashKey: []byte(secret)})
			have, _ := g.get(url, "X-Token: t")
			return have.Outcome
		}
		got := []string{outcome("sixteen bytes of a"), outcome("sixteen bytes of a"), outcome("sixteen bytes of b")}
		if want := []string{"miss", "hit", "miss"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if setup := keys(t, m, store.KindSetup); len(setup) > 0 {
			t.Errorf("in the store: %v", setup)
		}
		if _, err := cache.New(cache.Options{VaryHashKey: []byte("short")}); err == nil {
			t.Error("a short secret is no error")
		}
	})
}

// Two processes that need a secret at one time end up with one.
func TestSecretsHashKeyIsSharedByAllProcesses(t *testing.T) {
	m := storetest.NewMap(1 << 24)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c, err := cache.New(cache.Options{Store: m.Open()})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r, _ := http.NewRequest("GET", url, nil)
			r.Header.Set("X-Token", "t")
			resp, err := c.Middleware(says("x", "Cache-Control: max-age=60", "Vary: X-Token")).RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			readAll(resp)
		})
	}
	wg.Wait()
	c, err := cache.New(cache.Options{Store: m})
	require.NoError(t, err)
	defer c.Close()
	n := 0
	for range c.Entries(t.Context()) {
		n++
	}
	if n != 1 {
		t.Errorf("%d variants of one response", n)
	}
}
