package browsertest

import (
	"strings"
	"testing"
)

// TestListGrowsAsCallsHappen makes calls while the page is open.
func TestListGrowsAsCallsHappen(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	p.has("#empty", "Waiting for the first call")
	s.get("/users/1")
	p.wait(`document.querySelectorAll('#rows .row:not([hidden])').length === 1`)
	s.variety()
	p.has("#filter-count", "17 calls")
	p.wait(`!document.querySelector('#rows [data-outcome=open]')`)
	got := strings.Join(p.shown("outcome"), " ")
	for _, outcome := range []string{"hit", "miss", "revalidated", "error"} {
		if !strings.Contains(got, outcome) {
			t.Errorf("outcomes are %s: no %s", got, outcome)
		}
	}
	if newest := p.shown("url")[0]; !strings.HasSuffix(newest, "/users/1") {
		t.Errorf("the newest call is %s", newest)
	}
}
