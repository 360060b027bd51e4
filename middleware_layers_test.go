package ply_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
)

func acme(base http.RoundTripper) http.RoundTripper { return &acmeTransport{base} }

func plain(next ply.Handler) ply.Handler {
	return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { return next.RoundTrip(r) })
}

// made must not be inlined: the closure of an inlined function is named after the caller, too.
//
//go:noinline
func made() ply.Middleware {
	return func(next ply.Handler) ply.Handler { return ply.HandlerFunc(next.RoundTrip) }
}

func names(h ply.Handler) []string {
	var all []string
	for _, l := range ply.Layers(h) {
		all = append(all, l.String())
	}
	return all
}

func nothing(next ply.Handler) ply.Handler { return next }

func TestNoopLayerIsListedByItsName(t *testing.T) {
	describing := func(next ply.Handler) ply.Handler { return &pretender{next, "cache"} }
	got := names(ply.Chain(nothing, describing, nothing, plain, nothing)(answer("")))
	want := []string{"ply_test.nothing", "cache", "ply_test.nothing", "ply_test.plain", "ply_test.nothing"}
	if diff := cmp.Diff(want, got[:min(len(got), len(want))]); diff != "" {
		t.Error(diff)
	}
}

func TestLayersNamesEachLayerOutermostFirst(t *testing.T) {
	var third acmeTripperware = acme
	always := func(*http.Request) bool { return true }
	h := ply.Chain(
		ply.Named("mine", plain),
		third,
		func(next ply.Handler) ply.Handler { return &describing{next} },
		plain,
		made(),
		func(next ply.Handler) ply.Handler { return next },
		ply.Named("group", ply.Chain(plain, acme)),
		ply.When(always, ply.Chain(acme, ply.Named("inner", plain))),
	)(&http.Transport{})
	want := []string{
		"mine",
		"*ply_test.acmeTransport",
		"describing",
		"ply_test.plain",
		"ply_test.made",
		"ply_test.TestLayersNamesEachLayerOutermostFirst",
		"group",
		"*ply_test.acmeTransport?",
		"inner?",
		"*http.Transport",
	}
	if diff := cmp.Diff(want, names(h)); diff != "" {
		t.Errorf("layers (-want +got)\n%s", diff)
	}
}

func TestLayersSeesThroughWrappersAppliedByHand(t *testing.T) {
	h := ply.Chain(plain)(&describing{&describing{http.DefaultTransport}})
	want := []string{"ply_test.plain", "describing", "describing", "*http.Transport"}
	if diff := cmp.Diff(want, names(h)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"*ply_test.acmeTransport"}, names(acme(http.DefaultTransport))); diff != "" {
		t.Error(diff)
	}
	kubernetes := &wrapping{&describing{http.DefaultTransport}}
	if diff := cmp.Diff([]string{"*ply_test.wrapping", "describing", "*http.Transport"}, names(kubernetes)); diff != "" {
		t.Error(diff)
	}
}

// wrapping shows what it wraps as the round trippers of Kubernetes' libraries do.
type wrapping struct{ http.RoundTripper }

func (w *wrapping) WrappedRoundTripper() http.RoundTripper { return w.RoundTripper }

func TestLayersEndsInACyclicStack(t *testing.T) {
	d := &describing{}
	d.next = d
	if n := len(ply.Layers(d)); n == 0 || n > 10_000 {
		t.Errorf("%d layers", n)
	}
}

func TestLayersNameAClosureAfterItsMaker(t *testing.T) {
	got := names(ply.Chain(limit(1), func() ply.Middleware { return limit(2) }())(answer("")))
	if diff := cmp.Diff([]string{"ply_test.limit", "ply_test.limit", "ply_test.answer"}, got); diff != "" {
		t.Error(diff)
	}
}
