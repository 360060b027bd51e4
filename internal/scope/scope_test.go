package scope_test

import (
	"context"
	"testing"

	"github.com/plyhttp/ply/internal/partition"
	"github.com/plyhttp/ply/internal/scope"
)

func TestScopesNest(t *testing.T) {
	if got := scope.Of(t.Context()); got != (scope.Scope{}) {
		t.Errorf("nothing was said, and in scope is %+v", got)
	}
	outer := scope.With(t.Context(), scope.Scope{Cache: 1})
	inner := partition.With(outer, "a")
	if got, want := scope.Of(inner), (scope.Scope{Partition: "a", Cache: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := scope.Of(outer); got.Partition != "" {
		t.Errorf("an inner context has changed the outer one: %+v", got)
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(inner))
	defer cancel()
	if got := scope.Of(detached); got.Partition != "a" {
		t.Errorf("a derived context has lost the scope: %+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { scope.Of(inner) }); n != 0 {
		t.Errorf("a look allocates %v times", n)
	}
}
