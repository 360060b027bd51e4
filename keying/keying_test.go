package keying_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/plyhttp/ply/keying"
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
