package rfc9111

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// storedHeader is the header that is stored of a response with this one, which the strategy may have judged without asking the server.
func storedHeader(h http.Header, overruled bool, p *Policy) stored.Header {
	c := &Candidate{Response: &http.Response{Header: h}, Verdict: expiry.Follow(0)}
	if overruled {
		c.Verdict = expiry.Lifetime(time.Hour)
	}
	return StoredHeader(c, t0, p)
}

// RFC 9111 §3.1: which fields are stored.
func TestStoredHeader(t *testing.T) {
	h := header(`Connection: a | A: 1 | Keep-Alive: x | Proxy-Authenticate: x | Cache-Control: no-cache="b", private="c" | B: 2 | C: 3 | D: 4 | Age: 5 | Date: ` + date(0))
	got := storedHeader(h, false, shared)
	want := header(`Cache-Control: no-cache="b", private="c" | D: 4 | Date: ` + date(0))
	if diff := cmp.Diff(want, got.Map()); diff != "" {
		t.Errorf("shared (-want +got)\n%s", diff)
	}
	want.Set("C", "3")
	if diff := cmp.Diff(want, storedHeader(h, false, private).Map()); diff != "" {
		t.Errorf("private (-want +got)\n%s", diff)
	}
	if got := storedHeader(http.Header{}, false, private).Get("Date"); got != date(0) {
		t.Errorf("Date where the origin sent none: %q (RFC 9110 §6.6.1)", got)
	}
}

// RFC 9111 §3.1, §7.3: cookies, the Age and this cache's own Cache-Status are not stored; what other caches said is.
func TestStoredHeaderWithoutCookiesAndStatus(t *testing.T) {
	h := header(`Set-Cookie: a=b | Set-Cookie2: c=d | Cache-Status: cdn; hit | Cache-Status: ply; fwd=miss | Date: ` + date(0))
	want := header(`Cache-Status: cdn; hit | Date: ` + date(0))
	if diff := cmp.Diff(want, storedHeader(h, false, private).Map()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want = header(`Set-Cookie: a=b | Set-Cookie2: c=d | Cache-Status: cdn; hit | Date: ` + date(0))
	if diff := cmp.Diff(want, storedHeader(h, false, &Policy{ReplayCookies: true}).Map()); diff != "" {
		t.Errorf("with cookies (-want +got)\n%s", diff)
	}
	want = header(`Date: ` + date(0))
	if diff := cmp.Diff(want, storedHeader(header("Cache-Status: ply; hit"), false, private).Map()); diff != "" {
		t.Errorf("with no other status (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, storedHeader(nil, false, private).Map()); diff != "" {
		t.Errorf("of no header (-want +got)\n%s", diff)
	}
	if len(h["Set-Cookie"]) != 1 || h.Get("Set-Cookie2") == "" {
		t.Error("the header of the response was changed")
	}
	named := header(`Cache-Control: no-cache="a" | A: 1 | Date: ` + date(0))
	if diff := cmp.Diff(named, storedHeader(named, true, shared).Map()); diff != "" {
		t.Errorf("overruled (-want +got)\n%s", diff)
	}
}

func TestStoredHeaderAnswersWithTheOriginsCookies(t *testing.T) {
	answer, origin := header("Set-Cookie: old=1 | A: 1"), header("Set-Cookie: new=1 | Set-Cookie: new=2 | B: 1")
	AddCookies(answer, origin)
	if diff := cmp.Diff(header("Set-Cookie: new=1 | Set-Cookie: new=2 | A: 1"), answer); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	answer["Set-Cookie"][0] = "changed"
	if origin.Get("Set-Cookie") != "new=1" {
		t.Error("the answer shares its cookies with the origin's response")
	}
}

// RFC 9111 §5.2.2.4: fields that a qualified no-cache names come from the validation.
func TestStoredHeaderAnswersWithValidatedFields(t *testing.T) {
	answer := header(`Cache-Control: no-cache="a, b, c, D" | B: stored`)
	confirmation := http.Header{"A": {"1"}, "B": {"2"}, "C": {}, "E": {"3"}, "D": {"4"}}
	AddValidatedFields(answer, confirmation, private)
	want := header(`Cache-Control: no-cache="a, b, c, D" | B: stored | A: 1 | D: 4`)
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	answer["A"][0] = "changed"
	if confirmation.Get("A") != "1" {
		t.Error("the answer shares its fields with the confirmation")
	}
}
