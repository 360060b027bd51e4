package keying_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestNewSeparatesPrincipals(t *testing.T) {
	alice, bob := request(t, "GET http://h/a", "Authorization: a"), request(t, "GET http://h/a", "Authorization: b")
	if s := keying.New(keying.Prefix("v1")); key(t, s, alice) == key(t, s, bob) {
		t.Error("Of without a principal must add the credentials")
	}
	if s := keying.New(keying.URL(keying.URLOptions{}), keying.IgnoreCredentials()); key(t, s, alice) != key(t, s, bob) {
		t.Error("IgnoreCredentials must share")
	}
	tenant := keying.New(keying.Principal(func(r *http.Request) (string, error) { return r.Header.Get("X-Tenant"), nil }))
	if key(t, tenant, alice) != key(t, tenant, bob) {
		t.Error("one tenant must share")
	}
}

func TestErrorOfAPartIsTheErrorOfTheKey(t *testing.T) {
	oops := errors.New("oops")
	s := keying.New(keying.Principal(func(*http.Request) (string, error) { return "", oops }))
	if _, err := s.AppendKey(nil, request(t, "GET http://h/")); !errors.Is(err, oops) {
		t.Errorf("error = %v, want oops", err)
	}
}

func TestPartsAreDelimited(t *testing.T) {
	a := keying.New(keying.Prefix("ab"), keying.Prefix("c"))
	b := keying.New(keying.Prefix("a"), keying.Prefix("bc"))
	r := request(t, "GET http://h/")
	if key(t, a, r) == key(t, b, r) {
		t.Error("two sequences of parts have one key")
	}
}

func TestDefaultAllocatesNothing(t *testing.T) {
	s := keying.Default()
	r := request(t, "GET https://example.com/a/b?c=d", "Accept: */*", "Authorization: Bearer x")
	buf := make([]byte, 0, 1024)
	n := testing.AllocsPerRun(100, func() { buf, _ = s.AppendKey(buf[:0], r) })
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// A buffer is reused for other requests: no secret stays in it behind the key.
func TestKeyLeavesNoSecretInItsBuffer(t *testing.T) {
	buf := make([]byte, 0, 1024)
	r := request(t, "GET http://h/", "Authorization: Bearer secret", "Cookie: secret", "X-Api-Key: secret")
	for name, s := range map[string]keying.Strategy{"Default": keying.Default(), "Header": keying.New(keying.Header("X-Api-Key"))} {
		if _, err := s.AppendKey(buf, r); err != nil || strings.Contains(string(buf[:cap(buf)]), "secret") {
			t.Errorf("%s: error %v, buffer %q", name, err, buf[:cap(buf)])
		}
	}
}

// The responses in files, in Redis and in SQLite are found by their keys: with other keys all of them are lost. Change a key on purpose only.
func TestKeysStayAsTheyAre(t *testing.T) {
	js := "Content-Type: application/json"
	options := keying.URLOptions{Ignore: []string{"t"}, Sort: true, Paths: []string{"/static/*/app.js", "/docs/**"}, Hosts: map[string]string{"mirror": "h"}}
	for _, test := range []struct {
		name string
		s    keying.Strategy
		r    *http.Request
		want string // the beginning of the key's SHA-256
	}{
		{"Default", keying.Default(), request(t, "GET http://h/a?b=c"), "78cd42edeb6c"},
		{"Default with credentials", keying.Default(), request(t, "GET http://h/a?token=c", "Authorization: Bearer x", "Cookie: a=b"), "6c7e18aea5b8"},
		{"SingleUser", keying.SingleUser(), request(t, "GET http://h/a?b=c"), "e0547f4d2184"},
		{"New with credentials", keying.New(keying.Prefix("v1")), request(t, "GET http://h/a?token=c", "Cookie: a=b"), "c21b05ba8bc2"},
		{"URL", keying.New(keying.URL(options)), request(t, "GET http://mirror/static/1/app.js?t=1&b=2&a=3"), "fd6e242aa5da"},
		{"Only", keying.New(keying.URL(keying.URLOptions{Only: []string{"a"}})), request(t, "GET http://h/?a=1&token=2"), "9861c746f743"},
		{"Method, Header, AllHeaders", keying.New(keying.Method(), keying.Header("A", "B"), keying.AllHeaders("A")), request(t, "GET http://h/", "A: 1", "a: 2", "C: 3", "c: 4"), "3753f15734db"},
		{"Principal", keying.New(keying.Principal(func(*http.Request) (string, error) { return "ann", nil })), request(t, "GET http://h/"), "ed3a38b63ea3"},
		{"JSON", keying.New(keying.Body(keying.BodyOptions{})), request(t, "QUERY http://h/", js, "", `{"b":1,"a":[2]}`), "de2b02d75ed2"},
		{"raw", keying.New(keying.Body(keying.BodyOptions{})), request(t, "QUERY http://h/", "", `{"b":1,"a":[2]}`), "f873b94f0c91"},
		{"GraphQL", keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})), request(t, "POST http://h/", js, "", `{"query":"{ a }"}`), "8ef04dc873f6"},
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(key(t, test.s, test.r))))[:12]; got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// A key is appended: what stands before it stays, and the key is the same in any buffer and for any order of the header's map.
func TestKeysAreAppended(t *testing.T) {
	r := request(t, "QUERY http://h/a?x=1&y=2", "Authorization: Bearer x", "cookie: a", "Cookie: b", "COOKIE: c", "A: 1", "B: 2", "C: 3", "D: 4", "a: 5", "", `{"a":1}`)
	for name, s := range map[string]keying.Strategy{
		"Default":    keying.Default(),
		"SingleUser": keying.SingleUser(),
		"New":        keying.New(),
		"all parts": keying.New(keying.Prefix("v1"), keying.Method(), keying.URL(keying.URLOptions{Sort: true}), keying.Header("A", "Cookie"), keying.AllHeaders("D"),
			keying.Body(keying.BodyOptions{}), keying.Principal(nil)),
	} {
		want := key(t, s, r)
		for range 20 {
			got, err := s.AppendKey([]byte("before"), r)
			require.NoError(t, err)
			if string(got) != "before"+want {
				t.Fatalf("%s: %q behind \"before\", alone %q", name, got, want)
			}
		}
	}
}

// A signature that names no key gives a request no key, unless the program names the principal.
func TestSignatureWithoutAKeyNeedsAPrincipal(t *testing.T) {
	r := request(t, "GET http://h/", "Authorization: NTLM TlRMTVNTUAAB")
	for name, s := range map[string]keying.Strategy{"Default": keying.Default(), "New": keying.New(keying.URL(keying.URLOptions{Only: []string{"a"}}))} {
		if _, err := s.AppendKey(nil, r); err == nil {
			t.Errorf("%s: a key for NTLM", name)
		}
		if _, err := s.AppendKey(nil, r.WithContext(cache.WithPrincipal(t.Context(), "ann"))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
