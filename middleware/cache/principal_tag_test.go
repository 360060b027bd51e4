package cache

import (
	"slices"
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// What is stored for a named principal has that one's tag, by which all of it can be found.
func TestPrincipalTag(t *testing.T) {
	tags := withPrincipal(WithPrincipal(t.Context(), "alice"), nil)
	if !slices.Equal(tags, []invalidation.Tag{principalTag("alice")}) || principalTag("alice") == principalTag("bob") {
		t.Errorf("tags %x, want that of the principal", tags)
	}
	if tags := withPrincipal(t.Context(), nil); tags != nil {
		t.Errorf("tags %x for an anonymous request", tags)
	}
}
