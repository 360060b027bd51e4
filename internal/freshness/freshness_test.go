package freshness

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The lifetime by what a response says (RFC 9111 §4.2.1, §4.2.2).
func TestLifetime(t *testing.T) {
	received := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return received.Add(d).Format(http.TimeFormat) }
	const day = 24 * time.Hour
	restricted := Lifetime{Restricted: true}
	explicit := func(d time.Duration) Lifetime { return Lifetime{Explicit: true, Value: d} }
	heuristic := func(d time.Duration) Lifetime { return Lifetime{Heuristic: true, From: "Last-Modified", Value: d} }
	for _, tt := range []struct {
		name   string
		header http.Header
		r      Response // without header and time; status 0 means 200
		want   Lifetime
	}{
		{"nothing", http.Header{}, Response{}, Lifetime{}},
		{"no-store", http.Header{"Cache-Control": {"no-store"}}, Response{}, restricted},
		{"no-cache", http.Header{"Cache-Control": {"no-cache"}}, Response{}, restricted},
		{"private, shared", http.Header{"Cache-Control": {"private"}}, Response{Shared: true}, restricted},
		{"private", http.Header{"Cache-Control": {"private"}}, Response{}, Lifetime{}},
		{"shared", http.Header{"Cache-Control": {"public"}}, Response{Shared: true}, Lifetime{}},
		{"Pragma", http.Header{"Pragma": {"no-cache"}}, Response{}, restricted},
		{"Pragma among others", http.Header{"Pragma": {"a, no-cache, b"}}, Response{}, restricted},
		{"Pragma with Cache-Control", http.Header{"Pragma": {"no-cache"}, "Cache-Control": {"max-age=5"}}, Response{}, explicit(5 * time.Second)},
		{"another Pragma", http.Header{"Pragma": {"x"}}, Response{}, Lifetime{}},

		{"max-age", http.Header{"Cache-Control": {"max-age=5"}, "Expires": {at(day)}}, Response{}, explicit(5 * time.Second)},
		{"s-maxage, shared", http.Header{"Cache-Control": {"max-age=5, s-maxage=7"}}, Response{Shared: true}, explicit(7 * time.Second)},
		{"s-maxage, private cache", http.Header{"Cache-Control": {"max-age=5, s-maxage=7"}}, Response{}, explicit(5 * time.Second)},
		{"max-age, shared", http.Header{"Cache-Control": {"max-age=5"}}, Response{Shared: true}, explicit(5 * time.Second)},
		{"Expires", http.Header{"Expires": {at(day)}}, Response{}, explicit(day)},
		{"Expires by Date", http.Header{"Expires": {at(day)}, "Date": {at(-time.Hour)}}, Response{}, explicit(day + time.Hour)},
		{"Expires in the past", http.Header{"Expires": {at(-day)}}, Response{}, explicit(0)},
		{"Expires of no date", http.Header{"Expires": {"0"}}, Response{}, explicit(0)},
		{"Expires too far", http.Header{"Expires": {at(90 * 365 * day)}}, Response{}, explicit(Forever)},
		{"targeted, without a lifetime", http.Header{"Cdn-Cache-Control": {"public"}, "Expires": {at(day)}}, Response{Targeted: []string{"CDN-Cache-Control"}}, Lifetime{}},
		{"explicit before heuristic", http.Header{"Expires": {at(day)}, "Last-Modified": {at(-30 * day)}}, Response{}, explicit(day)},

		{"heuristic", http.Header{"Last-Modified": {at(-10 * day)}}, Response{}, heuristic(day)},
		{"heuristic by Date", http.Header{"Last-Modified": {at(-10 * day)}, "Date": {at(-5 * day)}}, Response{}, heuristic(day / 2)},
		{"heuristic, one week at most", http.Header{"Last-Modified": {at(-700 * day)}}, Response{}, heuristic(7 * day)},
		{"modified after it was sent", http.Header{"Last-Modified": {at(day)}}, Response{}, heuristic(0)},
		{"modified at no date", http.Header{"Last-Modified": {"x"}}, Response{}, Lifetime{}},
		{"status without a heuristic", http.Header{"Last-Modified": {at(-10 * day)}}, Response{Status: 201}, Lifetime{}},
		{"status without a heuristic, public", http.Header{"Last-Modified": {at(-10 * day)}, "Cache-Control": {"public"}}, Response{Status: 201}, heuristic(day)},
	} {
		r := tt.r
		r.Header, r.Received = tt.header, received
		if r.Status == 0 {
			r.Status = 200
		}
		if diff := cmp.Diff(tt.want, Of(r), unlessSaid(tt.want)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// unlessSaid leaves out what an explicit lifetime comes from; that is TestLifetimeFrom's.
func unlessSaid(want Lifetime) cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool { return want.Explicit && p.String() == "From" }, cmp.Ignore())
}

// The field or directive that the lifetime comes from, in the order of RFC 9111 §4.2.1.
func TestLifetimeFrom(t *testing.T) {
	received := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	h := http.Header{"Cache-Control": {"s-maxage=1, max-age=2"}, "Expires": {"0"}, "Last-Modified": {received.Add(-time.Hour).Format(http.TimeFormat)}}
	for _, step := range []struct {
		shared bool
		remove string // for the next step
		want   string
	}{{true, "", "s-maxage"}, {false, "Cache-Control", "max-age"}, {false, "Expires", "Expires"}, {false, "Last-Modified", "Last-Modified"}, {false, "", ""}} {
		if got := Of(Response{Status: 200, Header: h, Received: received, Shared: step.shared}).From; got != step.want {
			t.Errorf("%v: %q, want %q", h, got, step.want)
		}
		h.Del(step.remove)
	}
}

// RFC 9110 §15.1, without the statuses that say nothing that a cache could keep.
func TestHeuristicStatus(t *testing.T) {
	var got []int
	for status := 100; status < 600; status++ {
		if HeuristicStatus(status) {
			got = append(got, status)
		}
	}
	if diff := cmp.Diff([]int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
