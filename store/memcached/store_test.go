//go:build unix

package memcached_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/survival"
	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/memcached"
	"github.com/plyhttp/ply/store/memcached/internal/server"
	"github.com/plyhttp/ply/store/storetest"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

// open returns a store on servers.
func open(t testing.TB, o memcached.Options, servers ...string) *memcached.Store {
	t.Helper()
	s, err := memcached.New(servers, o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

const patient = 20 * time.Second // of a test that is not about a slow machine

func TestContract(t *testing.T) {
	one, two, three := server.Start(t).Addr, server.Start(t).Addr, server.Start(t, "-I", "8m").Addr
	for name, c := range map[string]struct {
		o       memcached.Options
		servers []string
	}{
		"one server":           {servers: []string{one}},
		"large items":          {o: memcached.Options{MaxItemBytes: 8 << 20, MaxRecordBytes: 16 << 20}, servers: []string{three}},
		"three servers":        {servers: []string{one, two, three}},
		"many chunks":          {o: memcached.Options{MaxItemBytes: 16 << 10}, servers: []string{one, two}},
		"records beyond 2 MiB": {o: memcached.Options{MaxRecordBytes: 64 << 20}, servers: []string{one}},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			storetest.Run(t, func(t *testing.T) store.Store {
				n++
				o := c.o
				o.Namespace, o.Timeout = fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), n), patient
				return open(t, o, c.servers...)
			})
		})
	}
}

func TestContractShared(t *testing.T) {
	servers := []string{server.Start(t).Addr, server.Start(t).Addr}
	for _, item := range []int{1 << 20, 16 << 10} {
		run := 0
		storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
			run++
			stores := make([]store.Store, n)
			for i := range stores {
				stores[i] = open(t, memcached.Options{Namespace: fmt.Sprintf("shared-%d-%d", item, run), MaxItemBytes: item, Timeout: patient}, servers...)
			}
			return stores
		})
	}
}

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return "memcached://" + server.Start(t).Addr + "?timeout=20s" })
}

func TestSurvival(t *testing.T) {
	survival.Run(t, survival.Trial{
		Start: func(t *testing.T) *testserver.Server { return server.Start(t) },
		URL:   func(addr string) string { return "memcached://" + addr + "?timeout=300ms" },
	})
}

func TestFleet(t *testing.T) {
	survival.RunFleet(t, "memcached://"+server.Start(t).Addr+","+server.Start(t).Addr+"?timeout=20s&max_item_bytes=64KiB")
}

// command sends a command as another program would, and returns the reply up to a line that is an end.
func command(t testing.TB, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(patient)))
	_, err = c.Write([]byte(text))
	require.NoError(t, err)
	var all bytes.Buffer
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		all.WriteString(line)
		switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "END", "STORED", "NOT_STORED", "DELETED", "NOT_FOUND", "OK", "ERROR", "CLIENT_ERROR", "SERVER_ERROR":
			return all.String()
		}
	}
}

func set(t testing.TB, addr, name, value string) {
	t.Helper()
	require.Equal(t, "STORED\r\n", command(t, addr, fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", name, len(value), value)))
}

// value returns what is under a name, "" if nothing is.
func value(t testing.TB, addr, name string) string {
	t.Helper()
	reply := command(t, addr, "get "+name+"\r\n")
	if reply == "END\r\n" {
		return ""
	}
	_, rest, _ := strings.Cut(reply, "\r\n")
	return strings.TrimSuffix(rest, "\r\nEND\r\n")
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
