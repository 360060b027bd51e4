//go:build unix

package redis_test

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
	"github.com/plyhttp/ply/store/storetest"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

// Valkey keeps the same contract as Redis, notifications and leases included.
func TestValkey(t *testing.T) {
	srv := server.StartValkey(t)
	namespaces := 0
	instances := func(t *testing.T, n int) []store.Store {
		namespaces++
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, srv.Addr, redis.Options{Namespace: namespace(namespaces), Timeout: 20 * time.Second})
		}
		return stores
	}
	t.Run("contract", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store { return instances(t, 1)[0] })
	})
	t.Run("shared", func(t *testing.T) { storetest.RunShared(t, instances) })
}

func TestValkeyLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return "redis://" + server.StartValkey(t).Addr + "?timeout=20s" })
}
