//go:build unix

package redis_test

import (
	"testing"

	"github.com/plyhttp/ply/store/redis/internal/server"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return "redis://" + server.Start(t).Addr + "?timeout=20s" })
}
