package memcached_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/plyhttp/ply/examples/memcached"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

const maxItem = 8 << 20

// start runs a server for one test, on a port of its own.
func start(t *testing.T) (address string) {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		testutil.SkipUnlessCI(t, "memcached is not installed: apt-get install memcached")
	}
	for range 5 { // another program may take the port before the server does
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address = l.Addr().String()
		l.Close()
		_, port, _ := net.SplitHostPort(address)
		server := exec.Command(path, "-l", "127.0.0.1", "-p", port, "-U", "0", "-m", "256", "-I", fmt.Sprint(maxItem))
		if os.Geteuid() == 0 {
			server.Args = append(server.Args, "-u", "root")
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Process.Kill(); server.Wait() })
		if answers(address) {
			return address
		}
	}
	t.Fatal("memcached does not answer")
	return ""
}

func answers(address string) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		defer c.Close()
		c.SetDeadline(end)
		fmt.Fprint(c, "version\r\n")
		b := make([]byte, 64)
		n, _ := c.Read(b)
		return strings.HasPrefix(string(b[:n]), "VERSION")
	}
	return false
}

func client(t *testing.T, address string) *memcache.Client {
	c := memcache.New(address)
	c.Timeout = 10 * time.Second // of a test on a busy machine; a cache wants 100 ms
	c.MaxIdleConns = 32
	t.Cleanup(func() { c.Close() })
	return c
}

func TestStore(t *testing.T) {
	address := start(t)
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		return memcached.New(client(t, address), fmt.Sprintf("test%d:", n), maxItem)
	})
}

func TestShared(t *testing.T) {
	address := start(t)
	n := 0
	storetest.RunShared(t, func(t *testing.T, count int) []store.Store {
		n++
		stores := make([]store.Store, count)
		for i := range stores {
			stores[i] = memcached.New(client(t, address), fmt.Sprintf("shared%d:", n), maxItem)
		}
		return stores
	})
}
