package retry_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestCloseIdleConnectionsIsOnlyForwarded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &idler{RoundTripper: plytest.NewOrigin(plytest.Status(503), plytest.ResetConnection())}
		h := retry.New(retry.Options{})(c)
		hc := &http.Client{Transport: h}
		hc.Get("http://example.com/")
		if c.n.Load() != 0 {
			t.Error("a failure closed the connections of others")
		}
		if hc.CloseIdleConnections(); c.n.Load() != 1 {
			t.Error("CloseIdleConnections is not forwarded")
		}
	})
}

func TestNestedRetryLayersDoNotMultiply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for nested, want := range map[bool]int{false: 3, true: 9} {
			origin := plytest.NewOrigin(plytest.Status(503))
			inner := retry.New(retry.Options{Nested: nested})(origin)
			resp, err := do(t, retry.Options{}, inner, newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if origin.Count() != want {
				t.Errorf("Nested %v: %d requests, want %d", nested, origin.Count(), want)
			}
			// The next page is a call of its own, even if it is asked for with the context of the last one.
			origin = plytest.NewOrigin(plytest.Status(503))
			resp, err = do(t, retry.Options{}, origin, newRequest(t, "GET").WithContext(resp.Request.Context()))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if origin.Count() != 3 {
				t.Errorf("next page: %d requests", origin.Count())
			}
		}
	})
}

func TestConnectUpgradeAndStreamsPassThrough(t *testing.T) {
	bubble(t, func(t *testing.T) {
		upgrade := newRequest(t, "GET")
		upgrade.Header.Set("Connection", "Upgrade")
		upgrade.Header.Set("Upgrade", "websocket")
		connect := newRequest(t, "CONNECT")
		for _, req := range []*http.Request{upgrade, connect} {
			n := 0
			var seen *http.Request
			reply := &http.Response{StatusCode: 503, Body: http.NoBody}
			origin := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) { n++; seen = r; return reply, nil })
			resp, err := do(t, retry.Options{AttemptTimeout: time.Second}, origin, req)
			if n != 1 || resp != reply || err != nil || seen != req {
				t.Errorf("%s: %d requests, %v", req.Method, n, err)
			}
		}

		origin := plytest.NewOrigin(plytest.Reply{Upgrade: func(c net.Conn) { io.Copy(c, c) }})
		resp, err := do(t, retry.Options{AttemptTimeout: time.Second, BodyTimeout: time.Second}, origin, upgrade)
		if err != nil {
			t.Fatal(err)
		}
		conn, ok := resp.Body.(io.ReadWriteCloser)
		if !ok {
			t.Fatal("the connection cannot be written to")
		}
		time.Sleep(time.Minute)
		fmt.Fprint(conn, "ping")
		if b := make([]byte, 4); func() bool { _, err := io.ReadFull(conn, b); return err != nil || string(b) != "ping" }() {
			t.Errorf("read %q", b)
		}
		conn.Close()

		// The request asked for no upgrade.
		resp, err = do(t, retry.Options{AttemptTimeout: time.Second}, plytest.NewOrigin(plytest.Reply{Upgrade: func(c net.Conn) { io.Copy(c, c) }}), newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := resp.Body.(io.Writer); !ok {
			t.Error("the connection cannot be written to")
		}
		resp.Body.Close()

		stream := newRequest(t, "PUT")
		stream.GetBody, stream.ContentLength = nil, -1
		if got, _ := call(t, retry.Options{}, stream, plytest.ResetConnection()); got != (result{1, 0, retry.StopBody}) {
			t.Errorf("a stream: %+v", got)
		}
	})
}

func TestGetIsSentAgainUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Reply{Status: 503}, plytest.Refuse(), plytest.Text("hello"))
		resp, err := do(t, retry.Options{}, origin, newRequest(t, http.MethodGet))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if string(body) != "hello" || err != nil || origin.Count() != 3 {
			t.Errorf("got %q, %v after %d requests", body, err, origin.Count())
		}
	})
}

func TestContract(t *testing.T) {
	for name, o := range map[string]retry.Options{
		"defaults": {},
		"everything": {
			AttemptTimeout: time.Hour, BodyTimeout: time.Hour, BufferBody: 1 << 20, Resume: 3, CoolDown: true,
			IdempotencyKey: retry.RandomKey, AttemptHeader: "X-Attempt", Prepare: func(*http.Request) error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) { plytest.CheckMiddleware(t, retry.New(o)) })
	}
}
