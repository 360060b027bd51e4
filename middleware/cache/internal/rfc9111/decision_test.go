package rfc9111

import (
	"github.com/google/go-cmp/cmp"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"testing"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// RFC 9111 §4, §4.2.4, §5.2.1, RFC 5861 §3, RFC 8246: what is done with a stored response. Its age is 5 when now is 5.
func TestDecisionByStoredResponse(t *testing.T) {
	const etag = ` | ETag: "a"`
	for _, test := range []struct {
		name              string
		response, request string
		now               int
		private, shared   action
	}{
		{"fresh", "Cache-Control: max-age=10" + etag, "", 5, Serve, Serve},
		{"lifetime reached", "Cache-Control: max-age=5" + etag, "", 5, Validate, Validate},
		{"stale, no validator", "Cache-Control: max-age=5", "", 6, Fetch, Fetch},
		{"s-maxage shorter", "Cache-Control: max-age=10, s-maxage=1" + etag, "", 5, Serve, Validate},
		{"s-maxage longer", "Cache-Control: max-age=1, s-maxage=10" + etag, "", 5, Validate, Serve},
		{"no-cache", "Cache-Control: max-age=10, no-cache" + etag, "", 5, Validate, Validate},
		{"no-cache with names", `Cache-Control: max-age=10, no-cache="a"` + etag, "", 5, Serve, Serve},
		{"Pragma in a response", "Expires: " + date(10) + " | Pragma: no-cache" + etag, "", 5, Validate, Validate},
		{"Pragma beside Cache-Control in a response", "Cache-Control: max-age=10 | Pragma: no-cache" + etag, "", 5, Serve, Serve},
		{"request no-cache", "Cache-Control: max-age=10" + etag, "Cache-Control: no-cache", 5, Validate, Validate},
		{"request Pragma", "Cache-Control: max-age=10" + etag, "Pragma: no-cache", 5, Validate, Validate},
		{"request Pragma beside Cache-Control", "Cache-Control: max-age=10" + etag, "Pragma: no-cache | Cache-Control: max-age=20", 5, Serve, Serve},
		{"request max-age, younger", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=5", 5, Serve, Serve},
		{"request max-age, older", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=4", 5, Validate, Validate},
		{"request max-age=0", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=0", 0, Validate, Validate},
		{"request max-age never extends", "Cache-Control: max-age=1" + etag, "Cache-Control: max-age=100", 5, Validate, Validate},
		{"request max-age and max-stale", "Cache-Control: max-age=10" + etag, "Cache-Control: max-age=4, max-stale=1", 5, Serve, Serve},
		{"immutable satisfies max-age=0", "Cache-Control: max-age=10, immutable" + etag, "Cache-Control: max-age=0", 5, Serve, Serve},
		{"immutable and stale", "Cache-Control: max-age=1, immutable" + etag, "", 5, Validate, Validate},
		{"immutable and request no-cache", "Cache-Control: max-age=10, immutable" + etag, "Cache-Control: no-cache", 5, Validate, Validate},
		{"min-fresh, enough", "Cache-Control: max-age=10" + etag, "Cache-Control: min-fresh=5", 5, Serve, Serve},
		{"min-fresh, too little", "Cache-Control: max-age=10" + etag, "Cache-Control: min-fresh=6", 5, Validate, Validate},
		{"max-stale", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale", 5, Serve, Serve},
		{"max-stale, within", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale=4", 5, Serve, Serve},
		{"max-stale, over", "Cache-Control: max-age=1" + etag, "Cache-Control: max-stale=3", 5, Validate, Validate},
		{"max-stale over must-revalidate", "Cache-Control: max-age=1, must-revalidate" + etag, "Cache-Control: max-stale", 5, Validate, Validate},
		{"max-stale over proxy-revalidate", "Cache-Control: max-age=1, proxy-revalidate" + etag, "Cache-Control: max-stale", 5, Serve, Validate},
		{"max-stale over s-maxage", "Cache-Control: max-age=1, s-maxage=1" + etag, "Cache-Control: max-stale", 5, Serve, Validate},
		{"max-stale over no-cache", "Cache-Control: no-cache" + etag, "Cache-Control: max-stale", 5, Validate, Validate},
		{"stale-while-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "", 5, ServeStale, ServeStale},
		{"stale-while-revalidate, at its end", "Cache-Control: max-age=1, stale-while-revalidate=4" + etag, "", 5, ServeStale, ServeStale},
		{"stale-while-revalidate, over", "Cache-Control: max-age=1, stale-while-revalidate=3" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate over must-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5, must-revalidate" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate over proxy-revalidate", "Cache-Control: max-age=1, stale-while-revalidate=5, proxy-revalidate" + etag, "", 5, ServeStale, Validate},
		{"stale-while-revalidate over s-maxage", "Cache-Control: max-age=1, stale-while-revalidate=5, s-maxage=1" + etag, "", 5, ServeStale, Validate},
		{"stale-while-revalidate and no-cache", "Cache-Control: max-age=1, stale-while-revalidate=5, no-cache" + etag, "", 5, Validate, Validate},
		{"stale-while-revalidate and request max-age", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-age=10", 5, Validate, Validate},
		{"stale-while-revalidate and request max-stale, less", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-stale=3", 5, Validate, Validate},
		{"stale-while-revalidate and request max-stale, enough", "Cache-Control: max-age=1, stale-while-revalidate=5" + etag, "Cache-Control: max-stale=4", 5, Serve, Serve},
		{"only-if-cached, fresh", "Cache-Control: max-age=10" + etag, "Cache-Control: only-if-cached", 5, Serve, Serve},
		{"only-if-cached, stale", "Cache-Control: max-age=1" + etag, "Cache-Control: only-if-cached", 5, Refuse, Refuse},
		{"only-if-cached, max-stale", "Cache-Control: max-age=1" + etag, "Cache-Control: only-if-cached, max-stale", 5, Serve, Serve},
		{"request no-store", "Cache-Control: max-age=10" + etag, "Cache-Control: no-store", 5, Fetch, Fetch},
		{"precondition", "Cache-Control: max-age=10" + etag, `If-Match: "a"`, 5, Fetch, Fetch},
		{"several ranges", "Cache-Control: max-age=10" + etag, `Range: bytes=0-1,3-4`, 5, Fetch, Fetch},
	} {
		t.Run(test.name, func(t *testing.T) {
			for p, want := range map[*Policy]action{private: test.private, shared: test.shared} {
				e, reason := entryOf(200, test.response, "", p)
				if reason != "" {
					t.Fatalf("not stored: %s", reason)
				}
				if got := Decide(asks(test.request), &Lookup{Entry: e}, at(test.now)); got.Action != want {
					t.Errorf("shared=%v: action %d (%s), want %d", p.Shared, got.Action, got.Detail, want)
				}
			}
		})
	}
}

func TestDecisionWithoutStoredResponse(t *testing.T) {
	for _, test := range []struct {
		name, request string
		want          action
	}{
		{"plain", "", Fetch}, {"only-if-cached", "Cache-Control: only-if-cached", Refuse}, {"no-cache", "Cache-Control: no-cache", Fetch},
	} {
		if got := Decide(asks(test.request), &Lookup{Fwd: cachestatus.FwdURIMiss}, t0); got.Action != test.want {
			t.Errorf("%s: action %d, want %d", test.name, got.Action, test.want)
		}
	}
}

// What a decision says beside its action: why the request is forwarded (RFC 9211 §2.2), and in words what decided.
func TestDecisionDetails(t *testing.T) {
	const fresh, stale, swr = `max-age=60 | ETag: "a"`, `max-age=1 | ETag: "a"`, `max-age=1, stale-while-revalidate=9 | ETag: "a"`
	for _, test := range []struct {
		name              string
		mode              Mode
		response, request string
		want              Decision
	}{
		{"plain hit", modeDefault, fresh, "", Decision{Action: Serve}},
		{"reload", ModeReload, fresh, "", Decision{Fetch, cachestatus.FwdRequest, "reload"}},
		{"reload, nothing stored", ModeReload, "", "", Decision{Fetch, cachestatus.FwdVary, "reload"}},
		{"force-cache, stale", modeForceCache, stale, "", Decision{Serve, "", "mode force-cache"}},
		{"force-cache, nothing stored", modeForceCache, "", "", Decision{Fetch, cachestatus.FwdVary, ""}},
		{"only-if-cached, stale", modeOnlyIfCached, stale, "", Decision{Serve, "", "mode only-if-cached"}},
		{"only-if-cached, nothing stored", modeOnlyIfCached, "", "", Decision{Refuse, "", "only-if-cached, nothing stored"}},
		{"mode no-cache", ModeNoCache, fresh, "", Decision{Validate, cachestatus.FwdRequest, "mode no-cache"}},
		{"mode no-cache, only-if-cached", ModeNoCache, fresh, "Cache-Control: only-if-cached", Decision{Refuse, "", "only-if-cached, stored response cannot be used: mode no-cache"}},
		{"response no-cache", modeDefault, `no-cache | ETag: "a"`, "", Decision{Validate, cachestatus.FwdStale, "no-cache"}},
		{"request no-cache", modeDefault, fresh, "Cache-Control: no-cache", Decision{Validate, cachestatus.FwdRequest, "request no-cache"}},
		{"request Pragma", modeDefault, fresh, "Pragma: no-cache", Decision{Validate, cachestatus.FwdRequest, "request no-cache"}},
		{"fresh for the request, no validator", modeDefault, "max-age=60", "Cache-Control: max-age=30", Decision{Action: Serve}},
		{"request no-cache, no validator", modeDefault, "max-age=60", "Cache-Control: no-cache", Decision{Fetch, cachestatus.FwdRequest, "request no-cache"}},
		{"request max-age", modeDefault, fresh, "Cache-Control: max-age=4", Decision{Validate, cachestatus.FwdRequest, "request max-age"}},
		{"request max-age and max-stale, too old", modeDefault, fresh, "Cache-Control: max-age=3, max-stale=1", Decision{Validate, cachestatus.FwdRequest, "request max-age"}},
		{"request max-age and any max-stale", modeDefault, fresh, "Cache-Control: max-age=3, max-stale", Decision{Action: Serve}},
		{"request max-age, immutable and stale", modeDefault, `max-age=1, immutable | ETag: "a"`, "Cache-Control: max-age=4", Decision{Validate, cachestatus.FwdRequest, "request max-age"}},
		{"request min-fresh", modeDefault, fresh, "Cache-Control: min-fresh=56", Decision{Validate, cachestatus.FwdRequest, "request min-fresh"}},
		{"stale", modeDefault, stale, "", Decision{Validate, cachestatus.FwdStale, ""}},
		{"stale, no validator", modeDefault, "max-age=1", "", Decision{Fetch, cachestatus.FwdStale, ""}},
		{"max-stale", modeDefault, stale, "Cache-Control: max-stale", Decision{Serve, "", "max-stale"}},
		{"stale-while-revalidate", modeDefault, swr, "", Decision{ServeStale, "", "stale-while-revalidate"}},
		{"stale-while-revalidate, only-if-cached", modeDefault, swr, "Cache-Control: only-if-cached", Decision{Serve, "", "stale-while-revalidate"}},
		{"stale-while-revalidate, min-fresh", modeDefault, swr, "Cache-Control: min-fresh=0", Decision{Validate, cachestatus.FwdRequest, "request min-fresh"}},
		{"stale, only-if-cached", modeDefault, stale, "Cache-Control: only-if-cached", Decision{Refuse, "", "only-if-cached, stored response cannot be used: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &Lookup{Fwd: cachestatus.FwdVary}
			if test.response != "" {
				f.Entry, _ = entryOf(200, "Cache-Control: "+test.response, "", private)
			}
			a := ReadRequest(test.mode, newRequest("GET", test.request), private)
			if diff := cmp.Diff(test.want, Decide(&a, f, at(5))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	e, _ := entryOf(200, "Cache-Control: max-age=5, stale-while-revalidate=9 | ETag: \"a\"", "", private)
	for request, want := range map[string]action{"Cache-Control: min-fresh=0": Validate, "Accept: a": ServeStale} {
		if got := Decide(asks(request), &Lookup{Entry: e}, at(5)); got.Action != want {
			t.Errorf("at the end of the lifetime, %s: %+v", request, got)
		}
	}
	if got := (Decision{Validate, cachestatus.FwdStale, "x"}).Unconditional(); got != (Decision{Fetch, cachestatus.FwdStale, "x"}) {
		t.Errorf("unconditional: %+v", got)
	}
}

// RFC 9111 §4.1: where no variant fits, the origin may choose one of the stored variants by its tag.
func TestDecisionOffersOtherVariants(t *testing.T) {
	tagged, _ := entryOf(200, `Cache-Control: max-age=60 | ETag: "a"`, "", private)
	untagged, _ := entryOf(200, "Cache-Control: max-age=60", "", private)
	part := tagged.Clone()
	part.Part = &stored.ContentRange{First: 0, Last: 4, Complete: 10}
	part.Derive()
	variants := func(entries ...*stored.Entry) *stored.Variants { return &stored.Variants{Entries: entries} }
	for _, test := range []struct {
		name            string
		f               Lookup
		method, request string
		want            action
	}{
		{"a tag", Lookup{Fwd: cachestatus.FwdVary, Variants: variants(untagged, tagged)}, "GET", "", Validate},
		{"no tag", Lookup{Fwd: cachestatus.FwdVary, Variants: variants(untagged)}, "GET", "", Fetch},
		{"a part's tag", Lookup{Fwd: cachestatus.FwdVary, Variants: variants(part)}, "GET", "", Fetch},
		{"no variants", Lookup{Fwd: cachestatus.FwdVary}, "GET", "", Fetch},
		{"another miss", Lookup{Fwd: cachestatus.FwdURIMiss, Variants: variants(tagged)}, "GET", "", Fetch},
		{"HEAD", Lookup{Fwd: cachestatus.FwdVary, Variants: variants(tagged)}, "HEAD", "", Fetch},
		{"a range", Lookup{Fwd: cachestatus.FwdVary, Variants: variants(tagged)}, "GET", "Range: bytes=0-1", Fetch},
	} {
		a := ReadRequest(modeDefault, newRequest(test.method, test.request), private)
		if got := Decide(&a, &test.f, t0); got.Action != test.want || got.Fwd != test.f.Fwd {
			t.Errorf("%s: %+v, want action %d", test.name, got, test.want)
		}
	}
}

// RFC 9111 §3.3: what is done with a stored part, bytes 0 to 4 of 10.
func TestDecisionByStoredPart(t *testing.T) {
	e, _ := entryOf(200, `Cache-Control: max-age=60 | ETag: "a"`, "", private)
	part := e.Clone()
	part.Part = &stored.ContentRange{First: 0, Last: 4, Complete: 10}
	part.Derive()
	middle := part.Clone()
	middle.Part = &stored.ContentRange{First: 2, Last: 4, Complete: 10}
	middle.Derive()
	for _, test := range []struct {
		name            string
		e               *stored.Entry
		method, request string
		want            Decision
	}{
		{"the bytes are there", part, "GET", "Range: bytes=1-2", Decision{Action: Serve}},
		{"more bytes are asked for", part, "GET", "Range: bytes=4-5", Decision{Fetch, cachestatus.FwdPartial, ""}},
		{"the whole", part, "GET", "", Decision{Complete, cachestatus.FwdPartial, ""}},
		{"the whole, of a middle part", middle, "GET", "", Decision{Fetch, cachestatus.FwdPartial, ""}},
		{"the whole, with a condition", part, "GET", `If-None-Match: "a"`, Decision{Fetch, cachestatus.FwdPartial, ""}},
		{"HEAD", part, "HEAD", "", Decision{Fetch, cachestatus.FwdPartial, ""}},
		{"only-if-cached", part, "GET", "Cache-Control: only-if-cached", Decision{Refuse, "", "only-if-cached, only a part is stored"}},
	} {
		a := ReadRequest(modeDefault, newRequest(test.method, test.request), private)
		if diff := cmp.Diff(test.want, Decide(&a, &Lookup{Entry: test.e}, at(5))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}
