//go:build unix

package dynamodb_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/survival"
	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/dynamodb"
	"github.com/plyhttp/ply/store/dynamodb/internal/server"
	"github.com/plyhttp/ply/store/storetest"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

// The server takes any credentials, and the SDK looks for some. The machine's own are none of the tests' business.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2hunter2", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "",
		"AWS_DEFAULT_REGION": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		os.Setenv(name, value)
	}
	os.Exit(m.Run())
}

// open opens a store in the table "cache" of a server. A test on a busy machine has time.
func open(tb testing.TB, addr string, o dynamodb.Options) *dynamodb.Store {
	tb.Helper()
	o.Region, o.Endpoint = "eu-west-1", "http://"+addr
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	s, err := dynamodb.Open(tb.Context(), "cache", o)
	require.NoError(tb, err)
	tb.Cleanup(func() { s.Close() })
	return s
}

// create is open for a table that need not be there yet.
func create(tb testing.TB, addr string, o dynamodb.Options) *dynamodb.Store {
	tb.Helper()
	s := open(tb, addr, o)
	require.NoError(tb, s.CreateTable(tb.Context()))
	return s
}

// startServer starts a server with the table.
func startServer(tb testing.TB) *testserver.Server {
	tb.Helper()
	srv := server.Start(tb)
	create(tb, srv.Addr, dynamodb.Options{})
	return srv
}

var namespaces struct {
	sync.Mutex
	n int
}

func namespace() string {
	namespaces.Lock()
	defer namespaces.Unlock()
	namespaces.n++
	return fmt.Sprintf("n%d", namespaces.n)
}

func TestStore(t *testing.T) {
	srv := startServer(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, srv.Addr, dynamodb.Options{Namespace: namespace()}) })
}

func TestSharedStore(t *testing.T) {
	srv := startServer(t)
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		name, stores := namespace(), make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, srv.Addr, dynamodb.Options{Namespace: name})
		}
		return stores
	})
}

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string {
		return "dynamodb://cache?region=eu-west-1&timeout=20s&endpoint=http://" + startServer(t).Addr
	})
}

func TestSurvival(t *testing.T) {
	survival.Run(t, survival.Trial{
		Start: func(t *testing.T) *testserver.Server { return startServer(t) },
		URL: func(addr string) string {
			return "dynamodb://cache?region=eu-west-1&timeout=1s&endpoint=http://" + addr
		},
		// dynalite, in JavaScript, does one request at a time: with less there is hardly a hit while others ask.
		StoreTimeout: 500 * time.Millisecond,
	})
}

func put(tb testing.TB, s store.Store, key string, r store.Record) store.Record {
	tb.Helper()
	require.NoError(tb, s.Put(tb.Context(), key, r))
	return get(tb, s, key)
}

func get(tb testing.TB, s store.Store, key string) store.Record {
	tb.Helper()
	r, err := s.Get(tb.Context(), key)
	require.NoError(tb, err)
	return r
}
