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
