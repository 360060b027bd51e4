package memcached

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/plyhttp/ply/internal/storeline"
	"github.com/plyhttp/ply/store"
)

// A server that says more than it was asked for is not listened to further on that connection: the surplus would pass for the next reply.
func TestSurplusReplyEndsTheConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var connections atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "get") {
						c.Write([]byte("END\r\nEND\r\n"))
					} else {
						c.Write([]byte("ERROR\r\n"))
					}
				}
			}()
		}
	}()
	s, err := store.OpenURL(t.Context(), "memcached://"+l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if r, err := s.Get(t.Context(), "key"); err != nil || r.Version != "" {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections, want one for each call", n)
	}
}

// An error comes with no record, also where only the chunks of one cannot be read.
func TestErrorComesWithoutARecord(t *testing.T) {
	line := storeline.Line{Version: "V", Generation: "G", Kind: store.KindBody, Size: 100, Chunk: 50, Key: "key"}.Encode(0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() // when it is asked for chunks
				for r := bufio.NewReader(c); ; {
					if request, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(request, "gets ply:key ") {
						return
					}
					fmt.Fprintf(c, "VALUE ply:key 0 %d 1\r\n%s\r\nVALUE ply!generation 0 1 2\r\nG\r\nEND\r\n", len(line), line)
				}
			}()
		}
	}()
	s, err := store.OpenURL(t.Context(), "memcached://"+l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r, err := s.Get(t.Context(), "key"); err == nil || r.Version != "" {
		t.Errorf("%+v, %v", r, err)
	}
}
