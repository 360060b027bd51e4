package plytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server plays a script over a real socket on the loopback interface, with faults at the exact byte,
// for tests of what [http.Transport] makes of them. It does not work in a [testing/synctest] bubble; [Origin] does.
//
// Faults are real: ResetAfter sends a TCP reset, CutAfter and Unterminated end the connection.
// A reply that is a failure, such as [Refuse] or [ResetConnection], resets the connection when the request has been read,
// because an accepted connection cannot be refused. A closed Server refuses connections.
type Server struct {
	URL string // "http://127.0.0.1:port", without a trailing slash

	script  []Reply
	journal journal
	ln      net.Listener
	ctx     context.Context
	cancel  context.CancelFunc
	serving sync.WaitGroup

	mu    sync.Mutex // guards the field below
	conns map[net.Conn]bool
}

// NewServer starts a server that plays replies in order, one for each request on whatever connection, and repeats the last one.
// Without replies it answers with an empty 200. It is closed when the test ends.
func NewServer(t testing.TB, replies ...Reply) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("plytest: no server: %v", err)
	}
	if len(replies) == 0 {
		replies = []Reply{{}}
	}
	s := &Server{URL: "http://" + ln.Addr().String(), script: replies, ln: ln, conns: make(map[net.Conn]bool)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.serving.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Exchanges returns what the server saw, in the order of arrival.
func (s *Server) Exchanges() []Exchange { return s.journal.exchanges() }

// Count returns how many requests have arrived.
func (s *Server) Count() int { return s.journal.count() }

// Close ends all connections and refuses new ones. It waits until all goroutines of the server have ended.
func (s *Server) Close() {
	s.cancel()
	s.ln.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.serving.Go(func() { s.serve(conn) })
	}
}

func (s *Server) serve(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	if s.ctx.Err() != nil {
		return // accepted while the server was being closed
	}
	br := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		req.URL.Scheme, req.URL.Host = "http", req.Host
		rec := newRecord(req)
		s.journal.add(rec)
		reply := s.journal.next("", s.script)
		p := &player{conn: conn, br: br, req: req.WithContext(s.ctx), rec: rec, reply: reply}
		if err := p.play(); err != nil {
			rec.note(func(x *Exchange) { x.Err = err })
			p.part(err)
			return
		}
	}
}

// player plays one reply over a connection.
type player struct {
	conn  net.Conn
	br    *bufio.Reader
	req   *http.Request
	rec   *record
	reply *Reply
}

var (
	errReset = errors.New("plytest: connection reset on purpose")
	errEnded = errors.New("plytest: connection ended on purpose")
)

// part ends the connection, with a TCP reset for ResetAfter.
func (p *player) part(err error) {
	if tcp, ok := p.conn.(*net.TCPConn); ok && err == errReset {
		tcp.SetLinger(0)
	}
}

// play returns nil if the connection may be used for another request.
func (p *player) play() error {
	ctx := p.req.Context()
	if err := p.receive(); err != nil {
		return err
	}
	for i := range p.reply.Info {
		info := &p.reply.Info[i]
		if err := sleep(ctx, info.Wait); err != nil {
			return err
		}
		if err := p.head(info.status(), info.Header); err != nil {
			return err
		}
	}
	if err := sleep(ctx, p.reply.Wait); err != nil {
		return err
	}
	switch {
	case p.reply.never:
		<-ctx.Done()
		return ctx.Err()
	case p.reply.failure != nil:
		return errReset
	case p.reply.Raw != "":
		return p.raw()
	case p.reply.Handler != nil:
		return p.handle()
	case p.reply.Upgrade != nil:
		return p.upgrade()
	}
	return p.respond()
}

// receive reads the request body, unless the client expects 100 (Continue) and gets a refusal.
func (p *player) receive() error {
	if p.reply.Handler != nil {
		return nil
	}
	if strings.EqualFold(p.req.Header.Get("Expect"), "100-continue") {
		if p.reply.status() >= 300 {
			return nil
		}
		if err := p.head(http.StatusContinue, nil); err != nil {
			return err
		}
	}
	_, err := io.Copy(p.rec, p.req.Body)
	return err
}

func (p *player) head(status int, h http.Header) error {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(status))
	h.Write(&b)
	b.WriteString("\r\n")
	p.rec.note(func(x *Exchange) { x.Status = status })
	_, err := io.WriteString(p.conn, b.String())
	return err
}

func (p *player) raw() error {
	sent := p.reply.Fault.sent(len(p.reply.Raw))
	if _, err := io.WriteString(p.conn, p.reply.Raw[:sent]); err != nil {
		return err
	}
	if err := p.fault(); err != nil {
		return err
	}
	return errEnded
}

func (p *player) fault() error {
	switch p.reply.Fault.kind {
	case faultReset:
		return errReset
	case faultCut, faultUnterminated:
		return errEnded
	case faultStall:
		<-p.req.Context().Done()
		return p.req.Context().Err()
	}
	return nil
}

func (p *player) respond() error {
	r, status := p.reply, p.reply.status()
	h := r.header(time.Now())
	switch {
	case r.chunked():
		h.Set("Transfer-Encoding", "chunked")
		for name := range r.Trailer {
			h.Add("Trailer", name)
		}
	case status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified:
		h.Set("Content-Length", fmt.Sprint(len(r.Body)))
	}
	if err := p.head(status, h); err != nil {
		return err
	}
	if bodyAllowed(p.req.Method, status) {
		if err := p.body(); err != nil {
			return err
		}
	}
	if p.req.Close || strings.EqualFold(p.req.Header.Get("Expect"), "100-continue") && status >= 300 {
		return errEnded
	}
	return nil
}

func (p *player) body() error {
	r := p.reply
	text := r.Body[:r.Fault.sent(len(r.Body))]
	if r.chunked() && text != "" {
		text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
	}
	if _, err := io.WriteString(p.conn, text); err != nil {
		return err
	}
	if err := p.fault(); err != nil || !r.chunked() {
		return err
	}
	var end strings.Builder
	end.WriteString("0\r\n")
	r.Trailer.Write(&end)
	end.WriteString("\r\n")
	_, err := io.WriteString(p.conn, end.String())
	return err
}

// handle has an Origin run the handler, and writes its response to the connection.
func (p *player) handle() error {
	origin := &Origin{Handler: p.reply.Handler}
	req := p.req.Clone(p.req.Context())
	req.RequestURI = ""
	req.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(p.req.Body, p.rec), p.req.Body}
	resp, err := origin.RoundTrip(req)
	if err != nil {
		return errReset
	}
	defer resp.Body.Close()
	p.rec.note(func(x *Exchange) { x.Status = resp.StatusCode })
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return p.relay(resp)
	}
	if err := resp.Write(p.conn); err != nil {
		return errEnded
	}
	return nil
}

// relay carries an upgraded connection from the handler to the socket.
func (p *player) relay(resp *http.Response) error {
	if err := p.head(resp.StatusCode, resp.Header); err != nil {
		return err
	}
	inner := resp.Body.(io.ReadWriteCloser)
	p.both(inner)
	return errEnded
}

func (p *player) upgrade() error {
	if err := p.head(http.StatusSwitchingProtocols, p.reply.header(time.Now())); err != nil {
		return err
	}
	near, far := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer far.Close()
		p.reply.Upgrade(far)
	})
	p.both(near)
	wg.Wait()
	return errEnded
}

// both copies in both directions until either end is closed.
func (p *player) both(inner io.ReadWriteCloser) {
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(inner, p.br)
		inner.Close()
	})
	wg.Go(func() {
		io.Copy(p.conn, inner)
		p.conn.Close()
	})
	wg.Wait()
}
