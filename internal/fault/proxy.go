// Package fault is a TCP proxy that does to connections what networks do.
package fault

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// Faults are what happens to the replies of the server. The zero value is a proxy that only passes on.
type Faults struct {
	Delay time.Duration // of each piece that passes
	Slice int           // pieces are at most this long; 0 means as they come
	Cut   int           // a connection ends after up to this many bytes of replies, at random; 0 means never
	How   How           // it ends
	Hole  bool          // nothing passes in either direction, and connections stay open
}

// How is the way that a connection ends.
type How int

// The ways.
const (
	Reset How = iota // RST
	Close            // FIN, with the bytes so far
	Hang             // nothing more comes
)

// Proxy forwards connections to a server.
type Proxy struct {
	Addr string // host:port to connect to

	server string
	ln     net.Listener
	wg     sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	faults Faults
	lose   int // replies that are still to be lost
	conns  map[net.Conn]struct{}
	closed bool
}

// New returns a proxy in front of a server. It ends with the test.
func New(tb testing.TB, server string) *Proxy {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Addr: ln.Addr().String(), server: server, ln: ln, conns: make(map[net.Conn]struct{})}
	p.wg.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Set changes the faults, for open connections too, but for the place where they are cut.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// Lose has the next n replies lost, and their connections closed: the server has done what it was asked for, and the client does not learn it.
func (p *Proxy) Lose(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = n
}

func (p *Proxy) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == 0 {
		return false
	}
	p.lose--
	return true
}

func (p *Proxy) now() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// Break resets all connections.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
	}
}

func (p *Proxy) close() {
	p.ln.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Break()
	p.wg.Wait()
}

func reset(c net.Conn) {
	if c, ok := c.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	c.Close()
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.Close()
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		if p.keep(client) {
			p.wg.Go(func() { p.serve(client) })
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.drop(client)
	server, err := net.Dial("tcp", p.server)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.requests(server, client)
	}()
	p.replies(client, server)
	server.Close()
	client.Close()
	<-done
}

func (p *Proxy) requests(server, client net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			server.Close()
			return
		}
		if p.now().Hole {
			continue
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) replies(client, server net.Conn) {
	left := -1
	if f := p.now(); f.Cut > 0 {
		left = rand.IntN(f.Cut)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || p.lost() {
			return
		}
		for piece := buf[:n]; len(piece) > 0; {
			f := p.now()
			if f.Hole {
				break
			}
			size := len(piece)
			if f.Slice > 0 {
				size = min(size, f.Slice)
			}
			if left >= 0 {
				size = min(size, left)
				left -= size
			}
			if f.Delay > 0 {
				<-time.After(f.Delay)
			}
			if _, err := client.Write(piece[:size]); err != nil {
				return
			}
			if left == 0 {
				p.end(client, f.How)
				return
			}
			piece = piece[size:]
		}
	}
}

// end ends a connection at the place where it was to be cut.
func (p *Proxy) end(client net.Conn, how How) {
	switch how {
	case Reset:
		reset(client)
	case Close:
		client.Close()
	case Hang:
		io.Copy(io.Discard, client) // the other direction reads it already; this waits for its end
	}
}
