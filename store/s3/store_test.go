//go:build unix

package s3_test

import (
	"fmt"
	"testing"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
	"github.com/plyhttp/ply/store/s3/internal/fake"
	"github.com/plyhttp/ply/store/storetest"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

func TestContract(t *testing.T) {
	t.Run("one", func(t *testing.T) { contract(t, address(t)) })
	t.Run("shared", func(t *testing.T) { sharedContract(t, address(t)) })
}

// address is that of a server or, with -short, of a fake.
func address(t *testing.T) string {
	if testing.Short() {
		return fake.New(t).Listener.Addr().String()
	}
	return start(t).addr
}

// Two callers never both change one version, though the server does not heed the condition of a DELETE.
func TestContractWithAServerThatIgnoresConditionsOfDeletions(t *testing.T) {
	f := fake.New(t)
	f.IgnoreDelete = true
	sharedContract(t, f.Listener.Addr().String())
}

func contract(t *testing.T, addr string) {
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		return open(t, addr, fmt.Sprint("one/", n), s3.Options{})
	})
}

func sharedContract(t *testing.T, addr string) {
	run := 0
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		run++
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, addr, fmt.Sprint("shared/", run), s3.Options{})
		}
		return stores
	})
}

// Four processes ask the origin once for what none has, and one that is killed costs its lease.
func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return url(start(t).addr, "leases") + "&timeout=20s" })
}
