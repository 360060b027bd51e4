//go:build unix

package memcached_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/memcached"
	"github.com/plyhttp/ply/store/memcached/internal/server"
)

// ttl returns for how many seconds a server will keep an item, as it says by the meta command.
func ttl(t testing.TB, addr, name string) (seconds int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "mg %s t\r\n", name)
	require.NoError(t, err)
	_, err = fmt.Fscanf(c, "HD t%d\r\n", &seconds)
	require.NoError(t, err)
	return seconds
}

// fleet starts servers and a store on them, with 30 keys that are there.
func fleet(t *testing.T, n int, o memcached.Options) (servers []*testserver.Server, s *memcached.Store, keys []string) {
	t.Helper()
	var addrs []string
	for range n {
		servers = append(servers, server.Start(t))
		addrs = append(addrs, servers[len(servers)-1].Addr)
	}
	s = open(t, o, addrs...)
	for i := range 30 {
		keys = append(keys, fmt.Sprint("key-", i))
		put(t, s, keys[i], store.Record{Data: []byte(keys[i])})
	}
	return servers, s, keys
}

// present returns which of the keys are there. An error counts as absent, as it does to a cache.
func present(ctx context.Context, s store.Store, keys []string) (there []string) {
	for _, key := range keys {
		if r, err := s.Get(ctx, key); err == nil && string(r.Data) == key {
			there = append(there, key)
		}
	}
	return there
}

// A server that is killed costs its own keys, as errors, and no other server takes them: nothing can come back that is out of date.
// When it is up again it is empty, and used at once.
func TestKilledServerCostsItsOwnKeys(t *testing.T) {
	servers, s, keys := fleet(t, 3, memcached.Options{Timeout: patient})
	servers[1].Kill()
	rest := present(t.Context(), s, keys)
	if len(rest) < 10 || len(rest) > 28 {
		t.Errorf("%d of %d keys are there, want those of two of three servers", len(rest), len(keys))
	}
	var lost []string
	for _, key := range keys {
		err := s.Put(t.Context(), key, store.Record{Data: []byte("new")})
		if !errors.Is(err, store.ErrConflict) { // no other server takes it
			require.Error(t, err)
			lost = append(lost, key)
		}
	}
	require.Len(t, lost, len(keys)-len(rest))
	_, err := s.GetMulti(t.Context(), keys)
	require.Error(t, err)
	require.ErrorContains(t, s.Clear(t.Context()), servers[1].Addr)
	require.ErrorContains(t, s.Ping(t.Context()), servers[1].Addr)
	servers[1].Start()
	require.NoError(t, s.Ping(t.Context()))
	for _, key := range lost {
		require.Zero(t, get(t, s, key))
		require.NoError(t, s.Put(t.Context(), key, store.Record{Data: []byte("new")}))
	}
	records, err := s.GetMulti(t.Context(), lost)
	require.NoError(t, err)
	require.Equal(t, "new", string(records[0].Data))
}

// A server that hangs costs a few calls their time; those that follow fail at once. The others answer, and it is asked again when it goes on.
func TestHungServerAmongOthersIsPassedOver(t *testing.T) {
	servers, s, keys := fleet(t, 3, memcached.Options{Timeout: 100 * time.Millisecond})
	servers[0].Pause()
	var waited, refused, good int
	for range 4 {
		for _, key := range keys {
			began := time.Now()
			_, err := s.Get(t.Context(), key)
			switch took := time.Since(began); {
			case err == nil:
				good++
			case errors.Is(err, context.DeadlineExceeded):
				waited++
			case strings.Contains(err.Error(), "does not answer at the moment"):
				refused++
			default:
				t.Errorf("%v after %v", err, took)
			}
		}
	}
	if good == 0 || refused == 0 || waited > refused {
		t.Errorf("%d calls succeed, %d wait, and %d fail at once; want most of the last", good, waited, refused)
	}
	servers[0].Resume()
	testutil.Eventually(t, "all keys", func() bool { return len(present(t.Context(), s, keys)) == len(keys) })
}

// A server that is started again has closed all connections: the next call makes a new one, and no call fails for it.
func TestRestartedServerFailsNoCall(t *testing.T) {
	servers, s, keys := fleet(t, 1, memcached.Options{Timeout: patient})
	for range 3 {
		servers[0].Kill()
		servers[0].Start()
		require.Zero(t, get(t, s, keys[0]))
		require.NoError(t, s.Put(t.Context(), keys[0], store.Record{Data: []byte(keys[0])}))
		servers[0].Kill()
		servers[0].Start()
		require.NoError(t, s.Put(t.Context(), keys[0], store.Record{Data: []byte(keys[0])}))
		servers[0].Kill()
		servers[0].Start()
		require.NoError(t, s.Delete(t.Context(), keys[0], "a-version"))
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.sock")
	proxied := server.Start(t).Addr // the socket passes on to it: a memcached listens on TCP or on a socket, and Start waits for TCP
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", proxied)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(to, c); to.Close() }()
			go func() { _, _ = io.Copy(c, to); c.Close() }()
		}
	}()
	s, err := memcached.Open("memcached://"+path+"?timeout=20s", memcached.Options{})
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, "x", string(put(t, s, "k", store.Record{Data: []byte("x")}).Data))
}

func TestCloseLeavesNothing(t *testing.T) {
	plytest.CheckGoroutines(t)
	addr := server.Start(t).Addr
	s, err := memcached.New([]string{addr}, memcached.Options{})
	require.NoError(t, err)
	put(t, s, "k", store.Record{Data: []byte("x")})
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Get(t.Context(), "k")
	require.ErrorContains(t, err, "closed")
}

func TestOptionsThatCannotBeCarriedOut(t *testing.T) {
	for name, c := range map[string]struct {
		o       memcached.Options
		servers []string
	}{
		"Namespace":      {memcached.Options{Namespace: "a:b"}, []string{"h"}},
		"MaxItemBytes":   {memcached.Options{MaxItemBytes: 1000}, []string{"h"}},
		"MaxRecordBytes": {memcached.Options{MaxRecordBytes: -1}, []string{"h"}},
		"Timeout":        {memcached.Options{Timeout: -1}, []string{"h"}},
		"Connections":    {memcached.Options{Connections: -1}, []string{"h"}},
		"servers":        {memcached.Options{}, nil},
	} {
		_, err := memcached.New(c.servers, c.o)
		var bad *memcached.OptionError
		if !errors.As(err, &bad) || bad.Package != "memcached" || bad.Option != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, servers := range [][]string{{""}, {":11211"}, {"h:"}, {"user:secret@h:1"}, {"h", "H:11211"}, {"[::1"}, {"a b"}} {
		_, err := memcached.New(servers, memcached.Options{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want an error without the password", servers, err)
		}
	}
}

func TestOpenURL(t *testing.T) {
	for _, rawURL := range []string{
		"memcached://h", "memcached://h:1,h2:2,h3:3/", "memcached://h,h2", "memcached://[::1]:11211", "memcached:///run/m.sock",
		"memcached://h1,h2?namespace=app&max_item_bytes=8MiB&max_record_bytes=16MiB&timeout=50ms&connections=4&tls=true",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		require.NoError(t, err, rawURL)
		require.IsType(t, &memcached.Store{}, s)
		require.NoError(t, s.Close())
	}
	for rawURL, want := range map[string]string{
		"memcached://":                    "memcached: the URL is not understood",
		"memcached://h/path":              "memcached: the URL is not understood",
		"memcached://h#f":                 "memcached: the URL is not understood",
		"memcached://:hunter2@h":          "memcached: the URL has a user",
		"memcached://h?tiemout=1s":        `memcached: the URL has options that are not known: "tiemout"`,
		"memcached://h?timeout=hunter2":   "memcached: timeout in the URL must be a duration such as 30s",
		"memcached://h,h":                 "memcached: servers: name",
		"memcached://h?max_item_bytes=1k": "memcached: max_item_bytes in the URL must be a size",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
	_, err := memcached.Open("redis://h", memcached.Options{TLS: &tls.Config{}})
	require.ErrorContains(t, err, "memcached: the URL is not understood")
}

func TestBadKeys(t *testing.T) {
	s := open(t, memcached.Options{}, "127.0.0.1:1")
	for _, key := range []string{"", "a b", "a\r\nflush_all\r\n", "ü", "a/b", strings.Repeat("x", 129)} {
		_, err := s.Get(t.Context(), key)
		require.ErrorContains(t, err, "the key")
		_, err = s.GetMulti(t.Context(), []string{"good", key})
		require.ErrorContains(t, err, "the key")
		require.ErrorContains(t, s.Put(t.Context(), key, store.Record{Data: []byte("x")}), "the key")
		require.ErrorContains(t, s.Delete(t.Context(), key, ""), "the key")
		if key != "" {
			require.ErrorContains(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x"), Owner: key}), "the owner")
		}
	}
	require.ErrorContains(t, s.Put(t.Context(), "k", store.Record{}), "one byte")
}
