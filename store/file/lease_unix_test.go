//go:build unix

package file

import (
	"testing"

	"github.com/plyhttp/ply/store/storetest/processtest"
)

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return "file://" + t.TempDir() })
}
