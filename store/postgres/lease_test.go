//go:build unix

package postgres_test

import (
	"testing"

	"github.com/plyhttp/ply/store/postgres/internal/server"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return server.Start(t).URL() + "&timeout=20s" })
}
