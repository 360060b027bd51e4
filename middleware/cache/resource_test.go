package cache_test

import (
	"context"
	"errors"
	"net/http"
	neturl "net/url"
	"strings"
	"testing"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// withoutParams is a strategy of a user's own: the default without parameters whose names begin with utm.
type withoutParams struct {
	strict bool // it wants to know the tenant
}

func (s withoutParams) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	if s.strict && r.Header.Get("X-Tenant") == "" {
		if r.Header.Get("Panic") == "" && len(r.Header) == 0 {
			panic("a request without a header")
		}
		return nil, errors.New("no tenant")
	}
	u := *r.URL
	query := u.Query()
	for name := range query {
		if strings.HasPrefix(name, "utm") {
			query.Del(name)
		}
	}
	u.RawQuery = query.Encode()
	plain := *r
	plain.URL = &u
	dst, err := keying.Default().AppendKey(dst, &plain)
	return append(dst, r.Header.Get("X-Tenant")...), err
}

// inTwo is a strategy that answers two paths alike, and says so.
type inTwo struct{ keying.Strategy }

func (s inTwo) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	dst, err := s.AppendResource(dst, r)
	return append(dst, r.Header.Get("Authorization")...), err
}

func (inTwo) AppendResource(dst []byte, r *http.Request) ([]byte, error) {
	return append(dst, strings.TrimSuffix(r.URL.Path, ".json")...), nil
}

type equalURLs struct {
	name   string
	key    keying.Strategy
	stored string // by a GET
	other  string // another URL with the same key
	field  string // of the request that stores, and of the one that writes
	apart  bool   // the key is another one, the resource is not
}

func urlsWith(o keying.URLOptions) keying.Strategy { return keying.New(keying.URL(o)) }

func equals() []equalURLs {
	return []equalURLs{
		{name: "Ignore", key: urlsWith(keying.URLOptions{Ignore: []string{"utm"}}), stored: "http://h.test/a?id=1&utm=x", other: "http://h.test/a?id=1"},
		{name: "Ignore, the other way", key: urlsWith(keying.URLOptions{Ignore: []string{"utm"}}), stored: "http://h.test/a?id=1", other: "http://h.test/a?utm=x&id=1&utm=y"},
		{name: "Ignore all", key: urlsWith(keying.URLOptions{Ignore: []string{"utm"}}), stored: "http://h.test/a?utm=x", other: "http://h.test/a"},
		{name: "Only", key: urlsWith(keying.URLOptions{Only: []string{"id"}}), stored: "http://h.test/a?id=1&x=2", other: "http://h.test/a?y=3&id=1"},
		{name: "Only none", key: urlsWith(keying.URLOptions{Only: []string{}}), stored: "http://h.test/a?x=2", other: "http://h.test/a"},
		{name: "Sort", key: urlsWith(keying.URLOptions{Sort: true}), stored: "http://h.test/a?b=1&a=2", other: "http://h.test/a?a=2&b=1"},
		{name: "Paths", key: urlsWith(keying.URLOptions{Paths: []string{"/v/*/a"}}), stored: "http://h.test/v/1/a?x", other: "http://h.test/v/2/a?x"},
		{name: "Hosts", key: urlsWith(keying.URLOptions{Hosts: map[string]string{"mirror.test": "h.test"}}), stored: "http://mirror.test/a", other: "http://h.test/a"},
		{name: "Hosts, both mapped", key: urlsWith(keying.URLOptions{Hosts: map[string]string{"m1.test": "h.test", "m2.test": "h.test"}}), stored: "http://m1.test/a", other: "http://m2.test:80/a"},
		{name: "all", key: urlsWith(keying.URLOptions{Ignore: []string{"utm"}, Sort: true, Paths: []string{"/v/**"}, Hosts: map[string]string{"m.test": "h.test"}}),
			stored: "http://m.test/v/1?b=1&a=2&utm=3", other: "http://h.test/v/2/3?a=2&b=1"},
		{name: "with other parts", key: keying.New(keying.Prefix("v1"), keying.URL(keying.URLOptions{Ignore: []string{"utm"}}), keying.Header("Accept"), keying.IgnoreCredentials()),
			stored: "http://h.test/a?utm=x", other: "http://h.test/a", field: "Accept: b"},
		{name: "another spelling", key: urlsWith(keying.URLOptions{Ignore: []string{"utm"}}), stored: "http://h.test/%61?utm=x", other: "http://h.test/b/../a", apart: true},
		{name: "a spelling that another template fits", key: urlsWith(keying.URLOptions{Paths: []string{"/a/x/*", "/*/x/*"}}), stored: "http://h.test/%61/x/1", other: "http://h.test/b/x/2"},
		{name: "a strategy of one's own", key: withoutParams{}, stored: "http://h.test/a?utm_x=1", other: "http://h.test/a"},
		{name: "one that knows its requests", key: withoutParams{strict: true}, stored: "http://h.test/a?utm_x=1", other: "http://h.test/a", field: "X-Tenant: t"},
		{name: "a function", key: keying.Func(withoutParams{}.AppendKey), stored: "http://h.test/a?utm_x=1", other: "http://h.test/a?utm_y=2"},
		{name: "one that says what it takes for one", key: inTwo{}, stored: "http://h.test/a", other: "http://h.test/a.json"},
	}
}

// Equal keys are one resource: whatever ends what one URL has stored ends what its equals have (RFC 9111 §4.4).
func TestEqualURLsAreInvalidatedTogether(t *testing.T) {
	for _, test := range equals() {
		for name, end := range map[string]func(t *testing.T, g *rig){
			"PUT":    func(t *testing.T, g *rig) { g.do("PUT", test.other, test.field) },
			"POST":   func(t *testing.T, g *rig) { g.do("POST", test.other, test.field) },
			"PATCH":  func(t *testing.T, g *rig) { g.do("PATCH", test.other, test.field) },
			"DELETE": func(t *testing.T, g *rig) { g.do("DELETE", test.other, test.field) },
			"Location": func(t *testing.T, g *rig) {
				u := must(neturl.Parse(test.other))
				u.Path = "/elsewhere"
				g.do("POST", u.String(), test.field, "Answer-Location: "+test.other)
			},
			"Content-Location": func(t *testing.T, g *rig) {
				u := must(neturl.Parse(test.other))
				u.Path = "/elsewhere"
				g.do("PUT", u.String(), test.field, "Answer-Content-Location: "+test.other)
			},
			"DeleteURL": func(t *testing.T, g *rig) {
				if test.field != "" && test.name != "with other parts" {
					g.do("PUT", test.other, test.field) // the strategy cannot do without a request
				}
				if err := g.DeleteURL(g.Context(), test.other); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					g := newRig(t, locating(), cache.Options{Key: test.key})
					g.get(test.stored, test.field)
					if !test.apart {
						have, _ := g.get(test.other, test.field)
						g.want(have, 200, "x", "hit", 1)
					}
					end(t, g)
					asked := len(g.origin.asked)
					have, _ := g.get(test.stored, test.field)
					g.want(have, 200, "x", "miss", asked+1)
				})
			})
		}
	}
}

// locating answers with the location that a request names.
func locating() *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		resp := reply(200, "x", "Cache-Control: max-age=60")
		for _, name := range []string{"Location", "Content-Location"} {
			if value := r.Header.Get("Answer-" + name); value != "" {
				resp.Header.Set(name, value)
			}
		}
		return resp
	}}
}

// A write by one principal ends the copies of all.
func TestEqualURLsInvalidationReachesEveryPrincipal(t *testing.T) {
	for _, test := range equals() {
		if strings.Contains(test.field, "X-Tenant") {
			continue // it makes no key without one, so it cannot be known
		}
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, locating(), cache.Options{Key: test.key})
				g.get(test.stored, "Authorization: Bearer alice", test.field)
				g.do("PUT", test.other, "Authorization: Bearer bob", test.field)
				have, _ := g.get(test.stored, "Authorization: Bearer alice", test.field)
				g.want(have, 200, "x", "miss", 3)
			})
		})
	}
}

// What was asked for before a write by an equal URL, and comes after it, is not stored.
func TestEqualURLWriteOvertakesInFlightResponse(t *testing.T) {
	for _, test := range equals() {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var g *rig
				writing := false
				g = newRig(t, &origin{answer: func(r *http.Request) *http.Response {
					if r.Method == "GET" && !writing {
						writing = true
						g.do("PUT", test.other, test.field)
					}
					return reply(200, "x", "Cache-Control: max-age=60")
				}}, cache.Options{Key: test.key})
				g.get(test.stored, test.field)
				have, _ := g.get(test.stored, test.field)
				g.want(have, 200, "x", "miss", 3)
			})
		})
	}
}

// Of two caches that share a store, one hears of what the other writes by an equal URL.
func TestEqualURLWriteReachesAllProcesses(t *testing.T) {
	for _, test := range equals() {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				shared := storetest.NewMap(1 << 20)
				reader := newRig(t, locating(), cache.Options{Store: shared, Key: test.key})
				writer := newRig(t, locating(), cache.Options{Store: shared, Key: test.key})
				reader.get(test.stored, test.field)
				have, _ := writer.get(test.stored, test.field)
				writer.want(have, 200, "x", "hit", 0)
				writer.do("PUT", test.other, test.field)
				have, _ = reader.get(test.stored, test.field)
				reader.want(have, 200, "x", "miss", 2)
			})
		})
	}
}

// What does not vary on the whole query is found by the equals of its URL, and ended by them.
func TestEqualURLsWithNoVarySearch(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "No-Vary-Search: params=(\"s\")"),
			cache.Options{Key: urlsWith(keying.URLOptions{Paths: []string{"/v/*/a"}})})
		g.get("http://h.test/v/1/a?q=1&s=1")
		have, _ := g.get("http://h.test/v/2/a?q=1&s=2")
		g.want(have, 200, "x", "hit", 1)
		g.do("PUT", "http://h.test/v/3/a?q=5")
		have, _ = g.get("http://h.test/v/1/a?q=1&s=1")
		g.want(have, 200, "x", "miss", 3)
	})
}

// Mirrors are one origin for groups, too (RFC 9875).
func TestEqualURLsShareGroups(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", `Cache-Groups: "g"`), cache.Options{Key: urlsWith(keying.URLOptions{Hosts: map[string]string{"m.test": "h.test"}})})
		g.get("http://m.test/a")
		if err := g.DeleteGroup(context.Background(), "http://h.test/", "g"); err != nil {
			t.Fatal(err)
		}
		have, _ := g.get("http://m.test/a")
		g.want(have, 200, "x", "miss", 2)
	})
}

// A pattern reaches what another host of the same answers has stored.
func TestEqualURLsDeletePattern(t *testing.T) {
	hosts := map[string]string{"m1.test:80": "h.test", "M2.test": "h.test", "x.test": "y.test"}
	for _, test := range []struct {
		stored, pattern string
		want            int
	}{
		{"http://m1.test/a", "h.test/*", 1},
		{"http://h.test/a", "m1.test/a", 1},
		{"http://m1.test/a", "http://m2.test/*", 1},
		{"http://h.test/a", "~^http://m2\\.test/", 1},
		{"http://m1.test/a", "https://h.test/*", 0},
		{"http://m1.test/a", "h.test/b", 0},
		{"http://m1.test/a", "y.test/*", 0},
		{"http://other.test/a", "h.test/*", 0},
	} {
		inBubble(t, func(t *testing.T) {
			g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Key: urlsWith(keying.URLOptions{Hosts: hosts})})
			g.get(test.stored)
			if n, err := g.DeletePattern(t.Context(), test.pattern); n != test.want || err != nil {
				t.Errorf("%s by %s: %d, %v, want %d", test.stored, test.pattern, n, err, test.want)
			}
		})
	}
}
