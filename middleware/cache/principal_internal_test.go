package cache

import (
	"slices"
	"testing"
)

// What is stored for a named principal has that one's tag, by which all of it can be found.
func TestPrincipalTag(t *testing.T) {
	tags := withPrincipal(WithPrincipal(t.Context(), "alice"), nil)
	if !slices.Equal(tags, []tag{principalTag("alice")}) || principalTag("alice") == principalTag("bob") {
		t.Errorf("tags %x, want that of the principal", tags)
	}
	if tags := withPrincipal(t.Context(), nil); tags != nil {
		t.Errorf("tags %x for nobody", tags)
	}
}
