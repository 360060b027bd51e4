package scope_test

import (
	"context"
	"testing"

	"github.com/plyhttp/ply/internal/scope"
)

func TestScopesNest(t *testing.T) {
	if got := scope.Of(t.Context()); got != (scope.Scope{}) {
		t.Errorf("nothing was said, and in scope is %+v", got)
	}
	outer := scope.With(t.Context(), scope.Scope{Cache: 1})
	s := scope.Of(outer)
	s.Connection = "a"
	inner := scope.With(outer, s)
	if got, want := scope.Of(inner), (scope.Scope{Connection: "a", Cache: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := scope.Of(outer); got.Connection != nil {
		t.Errorf("an inner context has changed the outer one: %+v", got)
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(inner))
	defer cancel()
	if got := scope.Of(detached); got.Connection != "a" {
		t.Errorf("a derived context has lost the scope: %+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { scope.Of(inner) }); n != 0 {
		t.Errorf("a look allocates %v times", n)
	}
}
