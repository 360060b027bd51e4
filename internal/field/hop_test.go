package field

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 §7.6.1 and RFC 9111 §3.1: what is not stored.
func TestRemoveHopByHop(t *testing.T) {
	h := http.Header{"Connection": {"a, B", "close"}, "A": {"1"}, "B": {"2"}, "C": {"3"}, "Keep-Alive": {"x"}, "Te": {"x"}, "Upgrade": {"x"},
		"Transfer-Encoding": {"chunked"}, "Proxy-Authenticate": {"x"}, "Proxy-Authentication-Info": {"x"}, "Proxy-Authorization": {"x"}, "Proxy-Connection": {"x"}}
	RemoveHopByHop(h)
	if diff := cmp.Diff(http.Header{"C": {"3"}}, h); diff != "" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
}

// The header of a response that a caller may hold is not changed: it is copied, if there is something to remove.
func TestWithoutHopByHop(t *testing.T) {
	h := http.Header{"Connection": {"a"}, "A": {"1"}, "B": {"2"}}
	if diff := cmp.Diff(http.Header{"B": {"2"}}, WithoutHopByHop(h)); diff != "" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
	if len(h) != 3 {
		t.Errorf("the header that was given is now %v", h)
	}
	plain := http.Header{"A": {"1"}}
	if same := WithoutHopByHop(plain); true {
		same.Set("B", "2")
		if diff := cmp.Diff(http.Header{"A": {"1"}, "B": {"2"}}, plain); diff != "" {
			t.Errorf("a header without them is returned as it is (-want +got)\n%s", diff)
		}
	}
	for name, want := range map[string]bool{"te": true, "Transfer-Encoding": true, "Content-Type": false, "Tea": false} {
		if got := IsHopByHop(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
