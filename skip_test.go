package ply_test

import (
	"os"
	"testing"
)

// skipUnlessCI skips a test whose machine lacks what it needs. With CI set the test fails instead, so that none goes unrun there.
func skipUnlessCI(t *testing.T, reason any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
