//go:build unix

package nats_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/survival"
	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/nats"
	"github.com/plyhttp/ply/store/nats/internal/natstest"
	"github.com/plyhttp/ply/store/storetest"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

func TestMain(m *testing.M) { os.Exit(natstest.Main(m)) }

const patient = 20 * time.Second // of a test that is not about a slow machine

// open returns a store on a server.
func open(t testing.TB, addr string, o nats.Options) *nats.Store {
	t.Helper()
	s, err := nats.Open("nats://"+addr, o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestContract(t *testing.T) {
	for name, c := range map[string]struct {
		o    nats.Options
		args []string
	}{
		"files":            {o: nats.Options{MaxBytes: 64 << 20}},
		"memory":           {o: nats.Options{MaxBytes: 64 << 20, Memory: true}, args: []string{"-max-memory", "4000000000"}},
		"small messages":   {o: nats.Options{MaxBytes: 64 << 20}, args: []string{"-max-payload", "65536"}},
		"records of 64 MB": {o: nats.Options{MaxBytes: 256 << 20, MaxRecordBytes: 64 << 20}, args: []string{"-max-store", "16000000000"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := natstest.Start(t, append([]string{"-max-store", "4000000000"}, c.args...)...)
			n := 0
			storetest.Run(t, func(t *testing.T) store.Store {
				n++
				o := c.o
				o.Bucket, o.Timeout = fmt.Sprintf("test-%d", n), patient
				return open(t, srv.Addr, o)
			})
		})
	}
}

func TestContractShared(t *testing.T) {
	srv := natstest.Start(t)
	run := 0
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		run++
		stores := make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, srv.Addr, nats.Options{Bucket: fmt.Sprintf("shared-%d", run), MaxBytes: 32 << 20, Timeout: patient})
		}
		return stores
	})
}

func TestContractBounded(t *testing.T) {
	srv := natstest.Start(t)
	run := 0
	storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store {
		run++
		return open(t, srv.Addr, nats.Options{Bucket: fmt.Sprintf("bounded-%d", run), MaxBytes: maxBytes, MaxRecordBytes: 16 << 20, Timeout: patient})
	})
}

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string {
		return "nats://" + natstest.Start(t).Addr + "?timeout=20s&max_bytes=64MiB"
	})
}

func TestSurvival(t *testing.T) {
	survival.Run(t, survival.Trial{
		Start: func(t *testing.T) *testserver.Server { return natstest.Start(t) },
		URL:   func(addr string) string { return "nats://" + addr + "?timeout=300ms&max_bytes=64MiB" },
	})
}

func TestFleet(t *testing.T) {
	survival.RunFleet(t, "nats://"+natstest.Start(t, "-max-payload", "65536").Addr+"?timeout=20s&max_bytes=64MiB")
}

func get(t testing.TB, s store.Store, key string) store.Record {
	t.Helper()
	r, err := s.Get(context.Background(), key)
	require.NoError(t, err)
	return r
}

func put(t testing.TB, s store.Store, key string, r store.Record) store.Record {
	t.Helper()
	require.NoError(t, s.Delete(context.Background(), key, ""))
	require.NoError(t, s.Put(context.Background(), key, r))
	return get(t, s, key)
}

// raw returns the bucket as other programs see it.
func raw(t testing.TB, addr, bucket string) jetstream.KeyValue {
	t.Helper()
	conn, err := natsgo.Connect(addr)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	kv, err := js.KeyValue(context.Background(), bucket)
	require.NoError(t, err)
	return kv
}

// chunks returns the keys of the chunks that are in a bucket.
func chunks(t testing.TB, kv jetstream.KeyValue) (keys []string) {
	t.Helper()
	all, err := kv.ListKeys(t.Context())
	require.NoError(t, err)
	for key := range all.Keys() {
		if strings.HasPrefix(key, "c.") {
			keys = append(keys, key)
		}
	}
	return keys
}
