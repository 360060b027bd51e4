package ply_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// traced is a transport that calls the trace hooks as a test scripts it.
type traced func(ctx context.Context, trace *httptrace.ClientTrace) error

func (f traced) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := f(req.Context(), httptrace.ContextClientTrace(req.Context())); err != nil {
		return nil, err
	}
	resp := reply(req, http.StatusOK, nil, "")
	resp.Body = io.NopCloser(&bodyOf{ctx: req.Context(), r: strings.NewReader("text")})
	return resp, nil
}

// bodyOf can be read as long as its context lasts.
type bodyOf struct {
	ctx context.Context
	r   io.Reader
}

func (b *bodyOf) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func TestConnectTimeoutExcludesTLSHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Timeouts: ply.Timeouts{Connect: time.Second}, Transport: traced(func(ctx context.Context, trace *httptrace.ClientTrace) error {
			trace.GetConn("proxy.test:443")
			time.Sleep(600 * time.Millisecond)
			trace.TLSHandshakeStart()
			time.Sleep(time.Minute)
			trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
			return wait(ctx, time.Minute) // for the proxy's answer to CONNECT
		})})
		began := time.Now()
		_, err := c.Get(t.Context(), "https://a.test/")
		checkTimeout(t, err, ply.PhaseConnect, time.Second)
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("struck after %v, want one second outside of the handshake", took)
		}
	})
}

func TestTransportRetryRestartsThePhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := ply.Timeouts{Connect: time.Second, TLS: time.Second, ResponseHeader: time.Second}
		c := newClient(t, ply.Options{Timeouts: limits, Transport: traced(func(ctx context.Context, trace *httptrace.ClientTrace) error {
			for range 3 {
				trace.GetConn("a.test:443")
				time.Sleep(900 * time.Millisecond)
				trace.TLSHandshakeStart()
				time.Sleep(900 * time.Millisecond)
				trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
				trace.GotConn(httptrace.GotConnInfo{})
				time.Sleep(time.Minute) // writing the request
				trace.WroteRequest(httptrace.WroteRequestInfo{})
				time.Sleep(900 * time.Millisecond)
			}
			return ctx.Err()
		})})
		if err := fetch(t.Context(), c, "https://a.test/"); err != nil {
			t.Error(err)
		}
	})
}

func TestHandshakeForAnotherRequestDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Timeouts: ply.Timeouts{Connect: time.Second, TLS: time.Second, ResponseHeader: time.Second}, Transport: traced(func(ctx context.Context, trace *httptrace.ClientTrace) error {
			trace.GetConn("a.test:443")
			trace.GotConn(httptrace.GotConnInfo{}) // an idle one; the dial that had begun goes on
			trace.TLSHandshakeStart()
			time.Sleep(time.Minute)
			trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
			time.Sleep(time.Minute)
			go func() {
				time.Sleep(time.Minute) // after the exchange
				trace.TLSHandshakeStart()
				trace.WroteRequest(httptrace.WroteRequestInfo{})
			}()
			return ctx.Err()
		})})
		resp, err := c.Get(t.Context(), "https://a.test/")
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		if b, err := io.ReadAll(resp.Body); string(b) != "text" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

// TestLateTimerDoesNotEndTheNextPhase: at the same instant either may win, but a response that is returned can be read.
func TestLateTimerDoesNotEndTheNextPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := ply.Timeouts{Connect: time.Second, TLS: time.Second, ResponseHeader: time.Second, IdleRead: time.Second}
		c := newClient(t, ply.Options{Timeouts: limits, Transport: traced(func(_ context.Context, trace *httptrace.ClientTrace) error {
			trace.GetConn("a.test:443")
			trace.TLSHandshakeStart()
			time.Sleep(time.Second)
			trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
			time.Sleep(time.Second)
			trace.GotConn(httptrace.GotConnInfo{})
			trace.WroteRequest(httptrace.WroteRequestInfo{})
			time.Sleep(time.Second)
			return nil
		})})
		for range 300 {
			resp, err := c.Get(t.Context(), "https://a.test/")
			var named *ply.TimeoutError
			if err != nil {
				if !errors.As(err, &named) {
					t.Fatalf("got %v, want a TimeoutError or a response", err)
				}
				continue
			}
			if b, err := io.ReadAll(resp.Body); string(b) != "text" || err != nil {
				t.Fatalf("a response that cannot be read: %q, %v", b, err)
			}
		}
	})
}

func TestTimeoutWhileTheHeaderArrivesIsTheError(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Timeouts: ply.Timeouts{ResponseHeader: time.Second}, Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			httptrace.ContextClientTrace(r.Context()).WroteRequest(httptrace.WroteRequestInfo{})
			<-r.Context().Done()
			resp := reply(r, http.StatusOK, nil, "")
			resp.Body = body
			return resp, nil
		})})
		_, err := c.Get(t.Context(), "http://a.test/")
		checkTimeout(t, err, ply.PhaseResponseHeader, time.Second)
	})
	if body.closed != 1 {
		t.Errorf("the body of the dropped response was closed %d times, want once", body.closed)
	}
}

func TestNoResponseHeaderTimeoutWhileTheRequestIsBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }), nil)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{ResponseHeader: time.Second}})
		pr, pw := io.Pipe()
		go func() {
			time.Sleep(time.Hour)
			io.WriteString(pw, "late")
			pw.Close()
		}()
		resp, err := c.Post(t.Context(), m.url, ply.BodyReader(pr))
		require.NoError(t, err)
		if b, err := io.ReadAll(resp.Body); string(b) != "late" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

func TestIdleReadExcludesPausesOfTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := range 5 {
				time.Sleep(900 * time.Millisecond)
				fmt.Fprint(w, i)
				w.(http.Flusher).Flush()
			}
			time.Sleep(900 * time.Millisecond)
		}), nil)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{IdleRead: time.Second}})
		for _, pause := range []time.Duration{0, time.Hour} {
			resp, err := c.Get(t.Context(), m.url)
			require.NoError(t, err)
			var got []byte
			buf := make([]byte, 1)
			for err == nil {
				var n int
				time.Sleep(pause)
				n, err = resp.Body.Read(buf)
				got = append(got, buf[:n]...)
			}
			if string(got) != "01234" || err != io.EOF {
				t.Errorf("with pauses of %v: got %q, %v", pause, got, err)
			}
		}
	})
}

// TestIdleReadErrorIsRepeated: later reads must not return net/http's error for a canceled body, which does not name the timeout.
func TestIdleReadErrorIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := scenarios["idle read"].start(t)
		c := newClient(t, ply.Options{Transport: m.transport(t), Timeouts: ply.Timeouts{IdleRead: time.Second}})
		resp, err := c.Get(t.Context(), m.url)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		if string(b) != "some" {
			t.Errorf("got %q before the timeout, want %q", b, "some")
		}
		checkTimeout(t, err, ply.PhaseIdleRead, time.Second)
		_, err = resp.Body.Read(make([]byte, 1))
		checkTimeout(t, err, ply.PhaseIdleRead, time.Second)
		if err := resp.Body.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
