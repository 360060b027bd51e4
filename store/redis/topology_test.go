//go:build unix

package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
	"github.com/plyhttp/ply/store/redis/internal/server"
	"github.com/plyhttp/ply/store/storetest"
)

const slots = 16384

// startCluster starts a cluster of n masters, each with its share of the slots.
func startCluster(t *testing.T, n int) []*server.Server {
	t.Helper()
	nodes := make([]*server.Server, n)
	for i := range nodes {
		nodes[i] = server.Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", fmt.Sprint(server.FreePort(t)))
	}
	first := raw(t, nodes[0].Addr)
	for i, node := range nodes {
		c := raw(t, node.Addr)
		require.NoError(t, c.ClusterAddSlotsRange(t.Context(), i*slots/n, (i+1)*slots/n-1).Err())
		if i > 0 {
			host, port, _ := strings.Cut(node.Addr, ":")
			bus := c.ConfigGet(t.Context(), "cluster-port").Val()["cluster-port"]
			require.NoError(t, first.Do(t.Context(), "CLUSTER", "MEET", host, port, bus).Err())
		}
	}
	for _, node := range nodes {
		c := raw(t, node.Addr)
		testutil.Eventually(t, "a cluster", func() bool {
			info := c.ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_size:%d", n))
		})
	}
	return nodes
}

func openCluster(t *testing.T, nodes []*server.Server, o redis.Options) *redis.Store {
	t.Helper()
	s, err := redis.Open("redis+cluster://"+nodes[0].Addr, o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// The whole contract holds in a cluster, whose keys live apart, and changes are heard from all of its servers.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 3)
	run := 0
	t.Run("contract", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			run++
			return openCluster(t, nodes, redis.Options{Namespace: namespace(run), Timeout: 20 * time.Second})
		})
	})
	t.Run("shared", func(t *testing.T) {
		storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
			run++
			stores := make([]store.Store, n)
			for i := range stores {
				stores[i] = openCluster(t, nodes, redis.Options{Namespace: namespace(run), Timeout: 20 * time.Second})
			}
			return stores
		})
	})
	t.Run("heard from all", func(t *testing.T) {
		s, other := openCluster(t, nodes, redis.Options{}), openCluster(t, nodes, redis.Options{})
		n := listen(t, s)
		testutil.Eventually(t, "hearing from all", func() bool {
			n.forget()
			for i := range 30 {
				put(t, other, fmt.Sprintf("spread-%d", i), "x")
			}
			return n.count("spread-0")+n.count("spread-1")+n.count("spread-2") > 0 && heardAll(t, n, 30)
		})
	})
	t.Run("a user with few rights", func(t *testing.T) {
		for _, node := range nodes {
			require.NoError(t, raw(t, node.Addr).Do(t.Context(), append(rights("pass"), "+cluster|slots", "+command", "+asking")...).Err())
		}
		s, err := redis.Open("redis+cluster://app:pass@"+nodes[0].Addr, redis.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		n := listen(t, s)
		for i := range 10 {
			put(t, s, fmt.Sprint("right-", i), strings.Repeat("x", 100_000))
		}
		require.NoError(t, s.Range(t.Context(), store.KindEntry, func(string, store.Record) bool { return true }))
		require.NoError(t, s.Clear(t.Context()))
		n.waitFor(t, "right-0")
	})
	t.Run("a slot moves", func(t *testing.T) {
		s := openCluster(t, nodes, redis.Options{})
		put(t, s, "moving", "before")
		var ids []string
		var clients []*goredis.Client
		for _, node := range nodes {
			c := raw(t, node.Addr)
			ids, clients = append(ids, c.ClusterMyID(t.Context()).Val()), append(clients, c)
		}
		slot := clients[0].ClusterKeySlot(t.Context(), "ply:moving").Val()
		from := int(slot) * 3 / slots
		to := (from + 1) % 3
		host, port, _ := strings.Cut(nodes[to].Addr, ":")
		ctx := t.Context()
		require.NoError(t, clients[to].Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]).Err())
		require.NoError(t, clients[from].Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]).Err())
		require.NoError(t, clients[from].Migrate(ctx, host, port, "ply:moving", 0, time.Second).Err())
		if r := get(t, s, "moving"); string(r.Data) != "before" { // by ASK
			t.Errorf("Get returns %q while the slot moves", r.Data)
		}
		require.NoError(t, s.Put(ctx, "moving", store.Record{Data: []byte("meanwhile"), Version: get(t, s, "moving").Version}))
		for _, c := range clients {
			require.NoError(t, c.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", ids[to]).Err())
		}
		if r := get(t, s, "moving"); string(r.Data) != "meanwhile" { // by MOVED
			t.Errorf("Get returns %q after the slot moved", r.Data)
		}
	})
	t.Run("a server dies", func(t *testing.T) {
		s := openCluster(t, nodes, redis.Options{Timeout: 300 * time.Millisecond})
		put(t, s, "k", "x")
		n := listen(t, s)
		n.forget()
		nodes[2].Kill()
		n.waitFor(t, "")
		for i := range 20 {
			began := time.Now()
			s.Get(t.Context(), fmt.Sprintf("any-%d", i))
			if took := time.Since(began); took > 300*time.Millisecond+lateness() {
				t.Errorf("Get takes %v", took)
			}
		}
		nodes[2].Start()
		works(t, s)
	})
}

// heardAll waits a moment for the last changes, and reports whether all of them were heard.
func heardAll(t *testing.T, n *notes, keys int) bool {
	t.Helper()
	for deadline := time.Now().Add(200 * time.Millisecond); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		all := true
		for i := range keys {
			all = all && n.count(fmt.Sprintf("spread-%d", i)) > 0
		}
		if all {
			return true
		}
	}
	return false
}

// A store follows the sentinels to the new master.
func TestSentinel(t *testing.T) {
	t.Parallel()
	master := server.Start(t, "--repl-diskless-sync-delay", "0")
	replica := server.Start(t, "--replicaof", strings.Replace(master.Addr, ":", " ", 1))
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	host, port, _ := strings.Cut(master.Addr, ":")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 2000\n", host, port), 0o600))
	sentinel := server.Sentinel(t, config)

	s, err := redis.Open("redis+sentinel://"+sentinel.Addr+"?master_name=main", redis.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	put(t, s, "k", "v")
	n := listen(t, s)
	c, next := raw(t, sentinel.Addr), raw(t, replica.Addr)
	c.Do(t.Context(), "SENTINEL", "DEBUG", "info-period", "100") // it learns of the replica sooner
	testutil.Eventually(t, "replication", func() bool { return next.Exists(t.Context(), "ply:k").Val() == 1 })
	testutil.Eventually(t, "failover", func() bool { return c.Do(t.Context(), "SENTINEL", "FAILOVER", "main").Err() == nil })
	n.forget()
	testutil.Eventually(t, "a new master", func() bool { return strings.Contains(next.Info(t.Context(), "replication").Val(), "role:master") })
	n.waitFor(t, "")
	works(t, s)
	if next.Exists(t.Context(), "ply:works").Val() != 1 {
		t.Error("the store does not write to the new master")
	}
	testutil.Eventually(t, "hearing from the new master", func() bool {
		next.Set(t.Context(), "ply:other", "x", 0)
		return n.count("other") > 0
	})
}

// rights make a user who may do what docs/stores-operating.md says is needed.
func rights(password string) []any {
	return []any{"ACL", "SETUSER", "app", "on", ">" + password, "~ply:*", "resetchannels", "-@all",
		"+getrange", "+evalsha", "+eval", "+set", "+unlink", "+scan", "+ping", "+hello", "+select", "+client|tracking", "+client|setname"}
}

func TestPasswordAndDatabase(t *testing.T) {
	srv := server.Start(t)
	c := raw(t, srv.Addr)
	ctx := t.Context()
	// What the package's documentation says a user needs.
	require.NoError(t, c.Do(ctx, "ACL", "SETUSER", "app", "on", ">p@ss/word", "~ply:*", "resetchannels", "-@all",
		"+getrange", "+evalsha", "+eval", "+set", "+unlink", "+scan", "+ping", "+hello", "+client|tracking", "+client|setname", "+select").Err())
	s, err := redis.Open("redis://app:p%40ss%2Fword@"+srv.Addr+"/3", redis.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	require.NoError(t, s.Ping(ctx))
	n := listen(t, s)
	put(t, s, "k", "v")
	require.NoError(t, s.Range(ctx, store.KindEntry, func(string, store.Record) bool { return true }))
	require.NoError(t, s.Clear(ctx))
	n.waitFor(t, "k")
	in3 := goredis.NewClient(&goredis.Options{Addr: srv.Addr, DB: 3})
	t.Cleanup(func() { in3.Close() })
	put(t, s, "k", "v")
	if in3.Exists(ctx, "ply:k").Val() != 1 || c.Exists(ctx, "ply:k").Val() != 0 {
		t.Error("the record is not in database 3")
	}
	wrong, err := redis.Open("redis://app:wrong-secret@"+srv.Addr, redis.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { wrong.Close() })
	if _, err := wrong.Get(ctx, "k"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Get with a wrong password: %v", err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server.Start(t, "--unixsocket", path)
	s, err := redis.Open("unix://"+path, redis.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	put(t, s, "k", "v")
	n := listen(t, s)
	require.NoError(t, s.Clear(t.Context()))
	n.waitFor(t, "k")
}

// certificate writes a key and a certificate for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}), 0o600))
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	return certFile, keyFile, roots
}

func TestTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	port := fmt.Sprint(server.FreePort(t))
	server.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
	s, err := redis.Open("rediss://127.0.0.1:"+port, redis.Options{TLS: &tls.Config{RootCAs: roots}})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	n := listen(t, s)
	put(t, s, "k", strings.Repeat("v", 1<<20))
	require.NoError(t, s.Clear(t.Context()))
	n.waitFor(t, "k")
	ctx, cancel := context.WithTimeout(t.Context(), moment(200*time.Millisecond))
	defer cancel()
	if c := load(t, ctx, s, 8, 20*time.Millisecond); c.wrong.Load() != 0 {
		t.Errorf("%v", c)
	}
	stranger, err := redis.Open("rediss://127.0.0.1:"+port, redis.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { stranger.Close() })
	if err := stranger.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Ping with roots that do not know the server: %v", err)
	}
}

// A client that the program has will do, and stays open.
func TestExistingClient(t *testing.T) {
	t.Parallel()
	srv := server.Start(t)
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		s, err := redis.New(raw(t, srv.Addr), redis.Options{Namespace: namespace(n), Timeout: 20 * time.Second})
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	})
	c := raw(t, srv.Addr)
	s, err := redis.New(c, redis.Options{})
	require.NoError(t, err)
	put(t, s, "k", "v")
	require.NoError(t, s.Close())
	require.NoError(t, c.Ping(t.Context()).Err())
	s, err = redis.New(c, redis.Options{})
	require.NoError(t, err)
	defer s.Close()
	srv.Pause()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, "k"); err == nil || time.Since(began) > 30*time.Millisecond+lateness() {
		t.Errorf("Get of a hung server: %v after %v", err, time.Since(began))
	}
	srv.Resume()
}
