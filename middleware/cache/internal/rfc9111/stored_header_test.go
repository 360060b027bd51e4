package rfc9111

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9111 §3.1: which fields are stored.
func TestStoredHeader(t *testing.T) {
	h := header(`Connection: a | A: 1 | Keep-Alive: x | Proxy-Authenticate: x | Cache-Control: no-cache="b", private="c" | B: 2 | C: 3 | D: 4 | Age: 5 | Date: ` + date(0))
	got := StoredHeader(h, t0, false, shared)
	want := header(`Cache-Control: no-cache="b", private="c" | D: 4 | Date: ` + date(0))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shared (-want +got)\n%s", diff)
	}
	want.Set("C", "3")
	if diff := cmp.Diff(want, StoredHeader(h, t0, false, private)); diff != "" {
		t.Errorf("private (-want +got)\n%s", diff)
	}
	if got := StoredHeader(http.Header{}, t0, false, private).Get("Date"); got != date(0) {
		t.Errorf("Date where the origin sent none: %q (RFC 9110 §6.6.1)", got)
	}
}
