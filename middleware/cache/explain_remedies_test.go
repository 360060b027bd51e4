package cache

import (
	"slices"
	"strings"
	"testing"
)

// What would change an outcome is known for reasons that exist, and the first that fits is meant for the reason.
func TestRemediesAreForReasonsThatAreGiven(t *testing.T) {
	for i, r := range remedies {
		if sourceOf(r.reason) == "a rule of this cache" {
			t.Errorf("no reason begins with %q", r.reason)
		}
		if first := slices.IndexFunc(remedies, func(before struct{ reason, change string }) bool { return strings.HasPrefix(r.reason, before.reason) }); first != i {
			t.Errorf("%q is hidden by %q", r.reason, remedies[first].reason)
		}
	}
	for from, rule := range lifetimes {
		if rule.Text == "" || rule.Source == "" {
			t.Errorf("%q has no rule with a section", from)
		}
	}
}
