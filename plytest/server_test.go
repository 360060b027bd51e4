package plytest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/plytest"
)

// socketClient is a client with connections of its own, closed with the test.
func socketClient(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestServerPlaysTheSameScriptOverASocket(t *testing.T) {
	plytest.CheckGoroutines(t)
	replies := []plytest.Reply{
		plytest.Text("hello", "X-A", "1"),
		plytest.Status(204),
		plytest.Status(404),
		{Body: "chunked", Chunked: true},
		{Body: "trailed", Trailer: http.Header{"Sum": {"1"}}, Info: []plytest.Reply{plytest.Status(103)}},
		plytest.Handle(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "handled ")
			io.Copy(w, r.Body)
		}),
		{Raw: "HTTP/1.0 200 OK\r\n\r\nuntil the end"},
	}
	server := plytest.NewServer(t, replies...)
	origin := plytest.NewOrigin(replies...)
	for i := range replies {
		var got [2]string
		for j, rt := range []http.RoundTripper{socketClient(t).Transport, origin} {
			resp := send(t, rt, request(t, "POST", server.URL+"/x", strings.NewReader("content")))
			body := text(t, resp)
			got[j] = fmt.Sprintf("%d %s length %d header %s trailer %v", resp.StatusCode, body, resp.ContentLength, resp.Header.Get("X-A"), resp.Trailer)
		}
		if d := cmp.Diff(got[1], got[0]); d != "" {
			t.Errorf("reply %d (-in memory +over a socket):\n%s", i, d)
		}
		x, y := server.Exchanges()[i], origin.Exchanges()[i]
		if x.Sum != y.Sum || x.URL.String() != y.URL.String() || (x.Status != y.Status && replies[i].Raw == "") {
			t.Errorf("reply %d: the logs differ:\n%+v\n%+v", i, x, y)
		}
	}
}

func TestSocketFaultsBreakTheConnection(t *testing.T) {
	plytest.CheckGoroutines(t)
	reset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	cut := func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
	tests := []struct {
		name  string
		reply plytest.Reply
		is    func(error) bool
	}{
		{"reset in the body", plytest.Reply{Body: "0123456789", Fault: plytest.ResetAfter(4)}, reset},
		{"short Content-Length", plytest.Reply{Body: "0123456789", Fault: plytest.CutAfter(4)}, cut},
		{"missing last chunk", plytest.Reply{Body: "0123456789", Fault: plytest.Unterminated()}, cut},
		{"lost", plytest.ResetConnection(), func(err error) bool { return reset(err) || errors.Is(err, io.EOF) }},
		{"reset in the header", plytest.Reply{Raw: "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", Fault: plytest.ResetAfter(20)}, func(err error) bool { return reset(err) || cut(err) }},
		{"bad header", plytest.Reply{Raw: "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"}, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "malformed MIME header")
		}},
		{"both lengths", plytest.Reply{Raw: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"}, func(err error) bool { return err != nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := plytest.NewServer(t, tt.reply)
			resp, err := socketClient(t).Transport.RoundTrip(request(t, "POST", server.URL, strings.NewReader("x")))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if !tt.is(err) {
				t.Errorf("error %T %v", err, err)
			}
		})
	}
}

func TestSocketUpgrade(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := plytest.NewServer(t, plytest.Reply{Upgrade: func(c net.Conn) { io.Copy(c, c) }, Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}})
	req := request(t, "GET", server.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp := send(t, socketClient(t).Transport, req)
	conn := resp.Body.(io.ReadWriteCloser)
	defer conn.Close()
	io.WriteString(conn, "ping")
	got := make([]byte, 4)
	if io.ReadFull(conn, got); string(got) != "ping" {
		t.Errorf("echo %q", got)
	}
}

func TestClosedServerRefusesConnections(t *testing.T) {
	server := plytest.NewServer(t)
	server.Close()
	_, err := socketClient(t).Transport.RoundTrip(request(t, "GET", server.URL, nil))
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v", err)
	}
}

func TestStalledServerEndsWithTheTest(t *testing.T) {
	plytest.CheckGoroutines(t)
	server := plytest.NewServer(t, plytest.Stall())
	client := socketClient(t)
	failed := make(chan error)
	go func() {
		_, err := client.Get(server.URL)
		failed <- err
	}()
	for server.Count() == 0 {
		runtime.Gosched()
	}
	server.Close()
	if err := <-failed; err == nil {
		t.Error("a stalled server answered")
	}
}
