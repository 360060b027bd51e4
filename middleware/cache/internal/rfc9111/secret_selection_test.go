package rfc9111

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// A secret line that is recognised at a glance is one that selects by its normal form, too; and the usual ones are recognised.
func TestASecretLineSelectsWhereItsNormalFormDoes(t *testing.T) {
	key := &stored.HashKey{1}
	for _, name := range []string{"Cookie", "Authorization", "X-Api-Key", "X-Tenant", "Signature-Input"} {
		values := []string{"", "a", " a\t", "a, b", "a,b", "b", "Bearer a", "Digest username=\"u\", realm=\"r\", nonce=\"1\"", "Digest username=\"u\", realm=\"r\", nonce=\"2\"", "NTLM x", strings.Repeat("x", 479), strings.Repeat("x", 481), strings.Repeat("x", 600)}
		var requests []*http.Request
		for _, value := range values {
			r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h.test"}, Header: http.Header{name: {value}}}
			requests = append(requests, r)
		}
		for _, h := range []http.Header{{}, {name: nil}, {name: {}}, {name: {"a", "b"}}, {strings.ToLower(name): {"a"}}, {name: {"a"}, strings.ToUpper(name): {"a"}}, {name: {"a"}, strings.ToLower(name): nil}} {
			requests = append(requests, &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h.test"}, Header: h})
		}
		vouched := requests[1].WithContext(reqctx.WithCredential(t.Context(), name, "a", "ann"))
		requests = append(requests, vouched)
		for _, then := range requests {
			selector := NewSelectors([]string{name}, then, key)[0]
			for _, now := range requests {
				value, present := Selecting(now, name, key)
				same := present == selector.Present && value == selector.Value
				if atAGlance := hasSecretLine(&selector, now, key); atAGlance && !same {
					t.Errorf("%s: stored for %q, %q is recognised but does not select it", name, then.Header, now.Header)
				}
			}
		}
		usual := requests[1]
		selector := NewSelectors([]string{name}, usual, key)[0]
		if name != "Signature-Input" && !hasSecretLine(&selector, usual, key) {
			t.Errorf("%s: the usual line is not recognised", name)
		}
		if got := testing.AllocsPerRun(10, func() { hasSecretLine(&selector, usual, key) }); got != 0 && (name == "Cookie" || name == "Authorization") {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// A field under another spelling of its name makes no request recognised, whichever field of the Vary it is.
func TestARespelledFieldIsNotRecognised(t *testing.T) {
	then := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h.test"}, Header: http.Header{"Accept": {"a"}, "Accept-Language": {"en"}}}
	e := &stored.Entry{Selectors: NewSelectors([]string{"Accept, Accept-Language, User-Agent"}, then, nil)}
	for _, test := range []struct {
		h    http.Header
		want bool
	}{
		{then.Header, true},
		{http.Header{"Accept": {"a"}, "Accept-Language": {"en"}, "X-Other": {"b"}}, true},
		{http.Header{"Accept": {"a"}, "Accept-Language": {"fr"}}, false},
		{http.Header{"Accept": {"a"}, "Accept-Language": {"en"}, "User-Agent": {"x"}}, false},
		{http.Header{"Accept": {"a"}, "Accept-Language": {"en"}, "user-agent": {"x"}}, false},
		{http.Header{"Accept": {"a"}, "Accept-Language": {"en"}, "ACCEPT-language": {"fr"}}, false},
		{http.Header{"Accept": {"a"}, "Accept-Language": {"en"}, "accept": {"b"}}, false},
	} {
		if got := e.Recognises(test.h, false); got != test.want {
			t.Errorf("%v is recognised: %v, want %v", test.h, got, test.want)
		}
	}
}

// A response that was stored for the same cookie, as its key says, is found without the hash of that. Of several, the hash decides:
// those of one cookie can have hashes of different keys.
func TestACookieInTheKeyIsNotHashed(t *testing.T) {
	entry := func(cookie string, key byte) *stored.Entry {
		then := &http.Request{Header: http.Header{"Cookie": {cookie}}}
		return &stored.Entry{Selectors: NewSelectors([]string{"Cookie"}, then, &stored.HashKey{key}), Status: 200}
	}
	r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h.test"}, Header: http.Header{"Cookie": {"a=1"}}}
	foreign, own := entry("a=1", 1), entry("a=1", 2)
	for name, test := range map[string]struct {
		keyed   bool
		entries []*stored.Entry
		want    *stored.Entry
	}{
		"one":                             {true, []*stored.Entry{foreign}, foreign},
		"one, and the cookie in no key":   {false, []*stored.Entry{foreign}, nil},
		"two":                             {true, []*stored.Entry{foreign, own}, own},
		"two, in the other order":         {true, []*stored.Entry{own, foreign}, own},
		"two, and neither hash is known":  {true, []*stored.Entry{foreign, entry("a=1", 3)}, nil},
		"another cookie in a key without": {false, []*stored.Entry{entry("a=2", 2)}, nil},
	} {
		a := Request{CookieKeyed: test.keyed}
		if got := Select(&stored.Variants{Entries: test.entries}, &a, r, &stored.HashKey{2}); got != test.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
