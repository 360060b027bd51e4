//go:build unix

package postgres_test

import (
	"testing"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
	"github.com/plyhttp/ply/store/postgres/internal/server"
	"github.com/plyhttp/ply/store/storetest"
)

func TestContract(t *testing.T) {
	srv := server.Shared(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, srv.URL(), postgres.Options{Connections: 4}) })
}

func TestContractShared(t *testing.T) {
	srv := server.Shared(t)
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		schema := newSchema()
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, srv.URL(), postgres.Options{Schema: schema, Connections: 4})
		}
		return stores
	})
}

func TestContractBounded(t *testing.T) {
	srv := server.Shared(t)
	storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store {
		return open(t, srv.URL(), postgres.Options{MaxBytes: maxBytes, Connections: 4})
	})
}
