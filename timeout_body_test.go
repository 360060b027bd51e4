package ply_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func TestResponseBodyMayBeClosedDuringARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := scenarios["idle read"].start(t)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{IdleRead: time.Hour, Total: time.Hour}})
		resp, err := c.Get(t.Context(), m.url)
		require.NoError(t, err)
		read := make(chan error)
		go func() {
			_, err := io.ReadAll(resp.Body)
			read <- err
		}()
		synctest.Wait()
		resp.Body.Close()
		if err := <-read; err == nil {
			t.Error("the read ended as if the body were complete")
		}
	})
}

// foreign is a context that isn't one of the standard library's: each context derived from it costs a goroutine until it is cancelled,
// which a bubble finds if it is left behind.
type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{} { return f.done }

func (f foreign) Err() error { return nil }

func (f foreign) Deadline() (time.Time, bool) { return time.Time{}, false }

// TestContextsLiveAsLongAsTheBody: and no longer, because a derived context stays registered with the caller's until it is canceled.
func TestContextsLiveAsLongAsTheBody(t *testing.T) {
	broken := errors.New("broken")
	whole := func() io.Reader { return strings.NewReader("text") }
	limits := map[string]ply.Timeouts{
		"total":  {Total: time.Hour},
		"phases": {Connect: time.Hour, TLS: time.Hour, ResponseHeader: time.Hour},
		"idle":   {IdleRead: time.Hour},
		"all":    {Total: time.Hour, Connect: time.Hour, IdleRead: time.Hour},
	}
	ends := map[string]struct {
		body func() io.Reader
		end  func(io.ReadCloser)
	}{
		"read to the end": {whole, func(b io.ReadCloser) { io.ReadAll(b) }},
		"copied":          {whole, func(b io.ReadCloser) { io.Copy(io.Discard, b) }},
		"closed":          {whole, func(b io.ReadCloser) { b.Close() }},
		"read in part":    {whole, func(b io.ReadCloser) { b.Read(make([]byte, 1)); b.Close() }},
		"broken":          {func() io.Reader { return iotest.ErrReader(broken) }, func(b io.ReadCloser) { io.ReadAll(b) }},
	}
	for name, timeouts := range limits {
		for how, e := range ends {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var ctx context.Context
					c := newClient(t, ply.Options{Timeouts: timeouts, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
						ctx = r.Context()
						resp := reply(r, http.StatusOK, nil, "")
						resp.Body = io.NopCloser(e.body())
						return resp, nil
					})})
					parent := foreign{t.Context(), make(chan struct{})}
					resp, err := c.Get(parent, "http://a.test/")
					require.NoError(t, err)
					if ctx.Err() != nil {
						t.Error("the context ended before the body")
					}
					e.end(resp.Body)
					if ctx.Err() == nil {
						t.Error("the context outlives the body")
					}
				})
			})
		}
		t.Run(name+"/error", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ctx context.Context
				c := newClient(t, ply.Options{Timeouts: timeouts, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
					ctx = r.Context()
					return nil, broken
				})})
				if _, err := c.Get(foreign{t.Context(), make(chan struct{})}, "http://a.test/"); !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
				if ctx.Err() == nil {
					t.Error("the context outlives the exchange")
				}
			})
		})
		t.Run(name+"/no body", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, ply.Options{Timeouts: timeouts, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
					resp := reply(r, http.StatusNoContent, nil, "")
					resp.Body = http.NoBody
					return resp, nil
				})})
				resp, err := c.Get(foreign{t.Context(), make(chan struct{})}, "http://a.test/")
				require.NoError(t, err)
				if resp.Body != http.NoBody {
					t.Errorf("got a body of type %T, want http.NoBody", resp.Body)
				}
			})
		})
	}
}

var generous = ply.Timeouts{Total: time.Hour, Connect: time.Hour, TLS: time.Hour, ResponseHeader: time.Hour, IdleRead: time.Hour}

// TestTimeoutsDoNotTruncateBodies: a large body can be read long after the header, and its connection is reused.
func TestTimeoutsDoNotTruncateBodies(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, h2 := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, large)
			w.Header().Set("X-Sum", "7")
		}))
		s.EnableHTTP2 = h2
		s.StartTLS()
		defer s.Close()
		c := newClient(t, ply.Options{Transport: s.Client().Transport, Timeouts: generous})
		for i := range 3 {
			var reused bool
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
			resp, err := c.Get(ctx, s.URL)
			require.NoError(t, err)
			b, err := io.ReadAll(resp.Body)
			if string(b) != large || err != nil {
				t.Errorf("%s: got %d bytes of %d, %v", resp.Proto, len(b), len(large), err)
			}
			if got := resp.Trailer.Get("X-Sum"); got != "7" {
				t.Errorf("%s: trailer %q", resp.Proto, got)
			}
			if reused != (i > 0) {
				t.Errorf("%s: connection of request %d reused: %t", resp.Proto, i, reused)
			}
		}
	}
}

// upgrade answers with 101 and echoes lines.
func upgrade(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		io.WriteString(conn, line)
	}
}

// TestUpgradeOutlivesTimeouts: and leaves no context behind, over a transport that no longer watches the connection's context.
func TestUpgradeOutlivesTimeouts(t *testing.T) {
	for name, timeouts := range map[string]ply.Timeouts{
		"total":  {Total: time.Hour},
		"phases": {Connect: time.Hour, TLS: time.Hour, ResponseHeader: time.Hour, IdleRead: time.Hour},
		"all":    generous,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := serveInMemory(t, http.HandlerFunc(upgrade), nil)
				c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: timeouts})
				resp, err := c.Get(foreign{t.Context(), make(chan struct{})}, m.url, ply.SetHeader("Connection", "Upgrade"), ply.SetHeader("Upgrade", "echo"))
				require.NoError(t, err)
				conn := resp.Body.(io.ReadWriteCloser)
				lines := bufio.NewReader(conn)
				for _, want := range []string{"one\n", "two\n"} {
					time.Sleep(24 * time.Hour)
					io.WriteString(conn, want)
					if got, err := lines.ReadString('\n'); got != want || err != nil {
						t.Errorf("got %q, %v, want %q", got, err, want)
					}
				}
				conn.Close()
			})
		})
	}
}
