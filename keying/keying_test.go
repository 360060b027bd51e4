package keying_test

import (
	"errors"
	"net/http"
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
