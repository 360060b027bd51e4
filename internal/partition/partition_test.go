package partition_test

import (
	"testing"

	"github.com/plyhttp/ply/internal/partition"
)

func TestPartitionsNest(t *testing.T) {
	ctx := t.Context()
	if got := partition.Of(ctx); got != "" {
		t.Errorf("Of(plain context) = %q, want the common partition", got)
	}
	if got := partition.With(ctx, ""); got != ctx {
		t.Error("an empty name must change nothing")
	}
	outer := partition.With(ctx, "unverified")
	if got := partition.Of(outer); got != "unverified" {
		t.Errorf("Of = %q, want unverified", got)
	}
	inner := partition.With(outer, "pinned")
	alone := partition.With(ctx, "pinned")
	if partition.Of(inner) == partition.Of(outer) || partition.Of(inner) == partition.Of(alone) {
		t.Error("a partition inside another must differ from both")
	}
}
