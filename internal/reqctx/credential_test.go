package reqctx_test

import (
	"context"
	"slices"
	"testing"

	"github.com/plyhttp/ply/internal/reqctx"
)

func TestCredentialVouchesForItsOwnValueAlone(t *testing.T) {
	outer := reqctx.WithCredential(t.Context(), "Authorization", "Bearer a", "alice")
	v := reqctx.From(reqctx.WithCredential(outer, "X-Api-Key", "k", "service"))
	for _, test := range []struct {
		field  string
		values []string
		want   bool
	}{
		{"Authorization", []string{"Bearer a"}, true},
		{"authorization", []string{"Bearer a"}, true},
		{"X-Api-Key", []string{"k"}, true},
		{"Authorization", []string{"Bearer b"}, false},
		{"Authorization", []string{"Bearer a", "Bearer a"}, false},
		{"Authorization", nil, false},
		{"X-Other", []string{"k"}, false},
		{"", []string{"k"}, false},
	} {
		if got := v.Vouches(test.field, test.values); got != test.want {
			t.Errorf("%s %v: %v, want %v", test.field, test.values, got, test.want)
		}
	}
	if again := reqctx.From(reqctx.WithCredential(outer, "Authorization", "Bearer b", "alice")); again.Vouches("Authorization", []string{"Bearer a"}) {
		t.Error("a credential that was replaced is still vouched for")
	}
}

func TestPrincipalsOfCredentialsAddUp(t *testing.T) {
	with := func(ctx context.Context, names ...string) reqctx.Values {
		for i, name := range names {
			ctx = reqctx.WithCredential(ctx, string(rune('A'+i)), "v", name)
		}
		return reqctx.From(ctx)
	}
	program := func(name string) context.Context {
		return reqctx.With(t.Context(), reqctx.Values{Principal: reqctx.HashPrincipal(name)})
	}
	alice := with(t.Context(), "alice")
	if alice.Principal != reqctx.HashPrincipal("alice") || with(program("alice"), "alice").Principal != alice.Principal {
		t.Error("a name that comes twice is another name")
	}
	seen := map[string]int{}
	for i, v := range []reqctx.Values{with(t.Context()), alice, with(t.Context(), "bob"), with(t.Context(), "alice", "bob"), with(t.Context(), "bob", "alice"), with(program("carol"), "alice"), with(t.Context(), "")} {
		if j, ok := seen[v.Principal]; ok {
			t.Errorf("cases %d and %d are one principal", i, j)
		}
		seen[v.Principal] = i
	}
	all := slices.Collect(with(program("carol"), "alice", "bob").Principals())
	for _, name := range []string{"alice", "bob", "carol"} {
		if !slices.Contains(all, reqctx.HashPrincipal(name)) {
			t.Errorf("%s is not among the principals", name)
		}
	}
	for name, test := range map[string]struct {
		v    reqctx.Values
		want bool
	}{
		"no credential": {with(t.Context()), false}, "a name": {alice, true}, "no name": {with(t.Context(), ""), false},
		"a name outside": {with(program("carol"), ""), true}, "a name inside": {with(t.Context(), "", "alice"), true}, "a name, then none": {with(t.Context(), "alice", ""), true},
	} {
		if test.v.Named() != test.want {
			t.Errorf("%s: named is %v", name, !test.want)
		}
	}
}
