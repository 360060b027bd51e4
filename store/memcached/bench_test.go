//go:build unix

package memcached_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/survival"
	"github.com/plyhttp/ply/store/memcached/internal/server"
)

func Benchmark(b *testing.B) {
	survival.Benchmark(b, "memcached://"+server.Start(b).Addr+"?timeout=1m")
}

// BenchmarkBare is one get of 1 KiB over one connection, without a client.
func BenchmarkBare(b *testing.B) {
	addr := server.Start(b).Addr
	set(b, addr, "bare", strings.Repeat("x", 1<<10))
	c, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	defer c.Close()
	r := bufio.NewReaderSize(c, 16<<10)
	reply := make([]byte, len("VALUE bare 0 1024\r\n")+1<<10+len("\r\nEND\r\n"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write([]byte("get bare\r\n")); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(r, reply); err != nil {
			b.Fatal(err)
		}
	}
}
