package cache_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// explained explains a request, and fails if that has asked the origin or changed the statistics.
func (g *rig) explained(r *http.Request) *cache.Explanation {
	g.Helper()
	before, asked := g.Stats(), len(g.origin.asked)
	x, err := g.Explain(g.Context(), r)
	require.NoError(g, err)
	if diff := cmp.Diff(before, g.Stats()); diff != "" || len(g.origin.asked) != asked {
		g.Errorf("explaining has changed the statistics (-before +after), or asked the origin %d times\n%s", len(g.origin.asked)-asked, diff)
	}
	return x
}

// agrees compares what was explained with what the cache then did.
func agrees(x *cache.Explanation, s cache.Status, resp *http.Response, sent *http.Request) string {
	conditional := sent != nil && (sent.Header.Get("If-None-Match") != "" || sent.Header.Get("If-Modified-Since") != "")
	switch x.Action {
	case cache.ActionServe, cache.ActionServeStale:
		if !s.Hit || s.Detail != x.Detail {
			return "a hit was foreseen"
		}
		return ""
	case cache.ActionRefuse:
		if resp.StatusCode != http.StatusGatewayTimeout || sent != nil {
			return "a refusal was foreseen"
		}
		return ""
	}
	if s.Hit || s.Fwd != x.Forward || !strings.HasPrefix(s.Detail, x.Detail) {
		return "another way to the origin was foreseen"
	}
	switch {
	case sent == nil:
		return "a request to the origin was foreseen"
	case x.Action == cache.ActionValidate && !conditional:
		return "a validation was foreseen"
	case x.Action == cache.ActionFetch && conditional && sent.Header.Get("X-Conditional") == "":
		return "a fetch was foreseen"
	}
	return ""
}

// For all combinations of what is stored, when, and what is asked for: what Explain says is what the cache then does, also whether it stores the answer.
func TestExplainAgreesWithWhatTheCacheDoes(t *testing.T) {
	stored := []string{
		"Cache-Control: max-age=60", "Cache-Control: max-age=60, must-revalidate", "Cache-Control: max-age=60, stale-while-revalidate=60",
		"Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=60, immutable", "X: no word of it",
	}
	more := []string{"", `Etag: "1"`, "Vary: Accept", "No-Vary-Search: params"}
	requests := []string{
		"", "Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=10", "Cache-Control: max-stale=30", "Cache-Control: min-fresh=50",
		"Cache-Control: only-if-cached", "Accept: text/html", "Authorization: Bearer x", "Range: bytes=0-1", `If-None-Match: "1"`, "Pragma: no-cache", "X-HTTP-Method-Override: DELETE",
	}
	times := []time.Duration{30 * time.Second, 90 * time.Second, 5 * time.Minute}
	inBubble(t, func(t *testing.T) {
		n := 0
		for _, first := range stored {
			for _, second := range more {
				fields := slices.DeleteFunc([]string{first, second}, func(s string) bool { return s == "" })
				for _, ask := range requests {
					for _, after := range times {
						n++
						agree(t, fields, ask, after, cache.ModeDefault, "GET", url)
					}
				}
			}
		}
		for mode := range cache.ModeReadOnly + 1 {
			for _, after := range times {
				for _, first := range stored {
					n++
					agree(t, []string{first, `Etag: "1"`}, "", after, mode, "GET", url)
				}
			}
		}
		for _, method := range []string{"HEAD", "POST", "DELETE", "QUERY"} {
			for _, at := range []string{url, url + "?a=1"} {
				n++
				agree(t, []string{stored[0], `Etag: "1"`, "No-Vary-Search: params"}, "", 30*time.Second, cache.ModeDefault, method, at)
			}
		}
		if n < 500 {
			t.Errorf("only %d combinations", n)
		}
	})
}

// agree stores a response, waits, explains a request and sends it.
func agree(t *testing.T, fields []string, ask string, after time.Duration, mode cache.Mode, method, at string) {
	o := says("0123456789", fields...)
	g := newRig(t, o, cache.Options{})
	defer g.Close()
	g.get(url)
	time.Sleep(after)
	synctest.Wait()
	r := must(http.NewRequestWithContext(cache.WithMode(t.Context(), mode), method, at, nil))
	if name, value, ok := strings.Cut(ask, ": "); ok {
		r.Header.Set(name, value)
		if name == "If-None-Match" {
			r.Header.Set("X-Conditional", "the caller's own")
		}
	}
	what := fmt.Sprintf("stored %q, asked %v later: %s %s %q, mode %v", fields, after, method, at, ask, mode)
	x := g.explained(r)
	resp := reply(200, "0123456789", fields...)
	storing, err := g.ExplainResponse(t.Context(), r, resp)
	require.NoError(t, err)
	asked := len(o.asked)
	_, answer := g.send(r)
	synctest.Wait() // a refresh has asked the origin, too
	var sent *http.Request
	if len(o.asked) > asked {
		sent = o.asked[asked]
	}
	status, _ := cache.StatusOf(answer)
	if x.Action == cache.ActionServeStale {
		sent = nil
	}
	if why := agrees(x, status, answer, sent); why != "" {
		t.Errorf("%s: %s\n%v\nCache-Status: %s", what, why, x, status)
	}
	if sent != nil && (storing.Stored != status.Stored || !storing.Stored && !strings.Contains(status.Detail, storing.Reason)) {
		t.Errorf("%s: storing was foreseen as %v\nCache-Status: %s", what, storing, status)
	}
	if storing.Source == "a rule of this cache" && storing.Reason != "method override" {
		t.Errorf("%s: where does %q come from?", what, storing.Reason)
	}
}

// Each variant says in which field it matches, and secrets stand nowhere.
func TestExplainShowsVariantsWithoutSecrets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60", "Vary: Accept, X-Token", `Etag: "1"`), cache.Options{Key: keying.SingleUser()})
		const at = "http://example.com/a?api_key=verysecret"
		g.get(at, "Accept: text/html", "X-Token: verysecret1")
		g.get(at, "Accept: text/plain", "X-Token: verysecret1")
		time.Sleep(10 * time.Second)
		r := must(http.NewRequest("GET", at, nil))
		r.Header.Set("Accept", "text/html")
		r.Header.Set("X-Token", "verysecret2")
		x := g.explained(r)
		if x.Action != cache.ActionValidate || x.Forward != cache.ForwardVary || len(x.Stored) != 2 {
			t.Fatalf("%v", x)
		}
		for _, s := range x.Stored {
			if s.Selected || s.Why == "" || len(s.Varies) != 2 || s.Varies[1].Matches || s.Varies[1].Stored == s.Varies[1].Request || s.Age != 10*time.Second || s.FreshFor != 50*time.Second {
				t.Errorf("%+v", s)
			}
		}
		r.Header.Set("X-Token", "verysecret1")
		y := g.explained(r)
		want := []cache.ExplainedField{{Name: "Accept", Stored: "text/html", Request: "text/html", Matches: true}, {Name: "X-Token", Matches: true}}
		if diff := cmp.Diff(want, y.Stored[0].Varies, cmpopts.IgnoreFields(cache.ExplainedField{}, "Stored", "Request")); diff != "" || !y.Stored[0].Selected || y.Stored[0].ETag != `"1"` {
			t.Errorf("the selected variant (-want +got)\n%s\n%v", diff, y)
		}
		text := x.String() + y.String() + string(must(json.Marshal(x))) + string(must(json.Marshal(y)))
		if strings.Contains(text, "verysecret") {
			t.Errorf("a secret is shown:\n%s", text)
		}
	})
}

// What a strategy says is explained, too: how likely a hit refreshes, and that it overrules the server.
func TestExplainKnowsTheStrategy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=5"), cache.Options{Expiry: expiry.Ahead(expiry.After(100*time.Second), 0.8)})
		g.get(url)
		r := must(http.NewRequest("GET", url, nil))
		if x := g.explained(r); x.RefreshAhead != 0 {
			t.Errorf("while it is young: %v", x)
		}
		time.Sleep(85 * time.Second)
		if x := g.explained(r); x.RefreshAhead != 1 || x.Action != cache.ActionServe {
			t.Errorf("%v", x)
		}
		s, err := g.ExplainResponse(t.Context(), r, reply(200, "x", "Cache-Control: no-store", "Vary: Accept"))
		require.NoError(t, err)
		if !s.Stored || !s.Overruled || s.FreshnessLifetime != 100*time.Second || fmt.Sprint(s.Varies) != "[Accept]" {
			t.Errorf("%v", s)
		}
	})
}

// Explaining does not prolong a lifetime that slides.
func TestExplainIsNoUse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{Expiry: expiry.Sliding(expiry.After(time.Minute))})
		g.get(url)
		r := must(http.NewRequest("GET", url, nil))
		for range 5 {
			time.Sleep(15 * time.Second)
			g.explained(r)
		}
		have, _ := g.get(url)
		if have.Outcome == "hit" {
			t.Error("explanations have prolonged the lifetime")
		}
	})
}

func TestExplainWantsAWholeURL(t *testing.T) {
	g := newRig(t, says("x"), cache.Options{})
	if _, err := g.Explain(t.Context(), nil); err == nil {
		t.Error("no error without a request")
	}
	if _, err := g.Explain(t.Context(), must(http.NewRequest("GET", "/a", nil))); err == nil {
		t.Error("no error for a relative URL")
	}
	if _, err := g.ExplainResponse(t.Context(), must(http.NewRequest("GET", url, nil)), nil); err == nil {
		t.Error("no error without a response")
	}
}
