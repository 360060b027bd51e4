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

func TestWithoutHopByHopLeavesTheHeaderAlone(t *testing.T) {
	plain := http.Header{"A": {"1"}}
	WithoutHopByHop(plain)["B"] = []string{"2"}
	if plain.Get("B") != "2" {
		t.Error("a header without such fields was copied")
	}
	h := http.Header{"Connection": {"a"}, "A": {"1"}, "Te": {"x"}, "B": {"2"}}
	if diff := cmp.Diff(http.Header{"B": {"2"}}, WithoutHopByHop(h)); diff != "" || len(h) != 4 {
		t.Errorf("header of %d fields afterwards (-want +got)\n%s", len(h), diff)
	}
	for _, name := range []string{"connection", "Keep-Alive", "PROXY-AUTHORIZATION", "te"} {
		if !IsHopByHop(name) {
			t.Errorf("%s is hop-by-hop", name)
		}
	}
	if IsHopByHop("Cache-Control") || IsHopByHop("") {
		t.Error("Cache-Control is end-to-end")
	}
}
