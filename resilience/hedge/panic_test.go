package hedge_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/hedge"
)

// What a hook panics with on the goroutine of a copy comes to light on the caller's, where it can be recovered.
func TestHookThatPanicsForACopyPanicsForTheCaller(t *testing.T) {
	for name, o := range map[string]hedge.Options{
		"Usable": {Usable: func(resp *http.Response) bool {
			if resp.StatusCode == 200 {
				panic("the hook")
			}
			return false
		}},
		"Budget": {Budget: panicking{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o.Delay = time.Second
				g, err := hedge.New(o)
				if err != nil {
					t.Fatal(err)
				}
				origin := plytest.NewOrigin(plytest.Reply{Status: 503, Wait: 3 * time.Second}, plytest.Text("ok"))
				defer func() {
					if p := recover(); p != "the hook" {
						t.Errorf("recovered %v", p)
					}
				}()
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
				resp, err := g.Middleware(origin).RoundTrip(req)
				t.Errorf("got %v and %v", resp, err)
			})
		})
	}
}

// panicking is a budget that panics when a copy is to be paid.
type panicking struct{}

func (panicking) Allow(string, retry.Outcome) (refund func(), ok bool) { panic("the hook") }
func (panicking) Success(string)                                       {}
