package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func TestLayersOfAClient(t *testing.T) {
	c := newClient(t, ply.Options{UseCall: []ply.Middleware{ply.Named("call", plain)}, Use: []ply.Middleware{acme}})
	want := []string{"call", "redirects and cookies", "*ply_test.acmeTransport", "*http.Transport"}
	if diff := cmp.Diff(want, names(c)); diff != "" {
		t.Error(diff)
	}
	want = []string{"ply_test.plain", "call", "*ply_test.acmeTransport", "*http.Transport"} // an *http.Client follows redirects itself
	if diff := cmp.Diff(want, names(ply.Chain(plain)(c.HTTPClient().Transport))); diff != "" {
		t.Errorf("by way of HTTPClient: %s", diff)
	}
}

func TestClosedClientRefusesRequests(t *testing.T) {
	transport := &idleCounter{Handler: &recorder{}}
	c, err := ply.New(ply.Options{Transport: transport})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	body := &closeCounter{Reader: strings.NewReader("x")}
	_, err = c.Post(t.Context(), "http://a.test/", ply.BodyReader(body))
	if !errors.Is(err, ply.ErrClientClosed) || body.closed != 1 {
		t.Errorf("got %v, body closed %d times", err, body.closed)
	}
	if transport.closed != 0 {
		t.Error("Close touched a transport that is not its own")
	}
}

func TestCloseClosesIdleConnectionsOfItsOwnTransport(t *testing.T) {
	var closed = make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	c, err := ply.New(ply.Options{})
	require.NoError(t, err)
	require.NoError(t, ply.Discard(c.Get(t.Context(), server.URL)))
	derived, err := c.With(func(*ply.Options) {})
	require.NoError(t, err)
	require.NoError(t, derived.Close())
	require.NoError(t, ply.Discard(c.Get(t.Context(), server.URL)))
	if len(closed) != 0 {
		t.Error("closing a derived client closed connections")
	}
	require.NoError(t, c.Close())
	<-closed
}

func TestWithSharesConnectionsAndState(t *testing.T) {
	conns := make(map[string]bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conns[r.RemoteAddr] = true
		fmt.Fprint(w, r.Header.Get("X-Role"))
	}))
	defer server.Close()
	var count int
	counting := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { count++; return next.RoundTrip(r) })
	}
	c := newClient(t, ply.Options{BaseURL: server.URL, Use: []ply.Middleware{counting}})
	admin, err := c.With(func(o *ply.Options) { o.Header.Set("X-Role", "admin") })
	require.NoError(t, err)

	role, err := ply.Text(admin.Get(t.Context(), "/"))
	require.NoError(t, err)
	none, err := ply.Text(c.Get(t.Context(), "/"))
	require.NoError(t, err)
	if role != "admin" || none != "" {
		t.Errorf("roles %q and %q", role, none)
	}
	if len(conns) != 1 || count != 2 {
		t.Errorf("%d connections and %d requests seen, want 1 and 2", len(conns), count)
	}

	other, err := c.With(func(o *ply.Options) { o.Transport = &recorder{} })
	require.NoError(t, err)
	require.NoError(t, ply.Discard(other.Get(t.Context(), "/")))
	if len(conns) != 1 {
		t.Error("another transport was not used")
	}
	if _, err := c.With(func(o *ply.Options) { o.BaseURL = "nowhere" }); err == nil {
		t.Error("With does not check what it is given")
	}
}

func TestWithAnotherTrustInTheEnvironmentHasItsOwnConnections(t *testing.T) {
	t.Setenv("NETRC", filepath.Join(t.TempDir(), "none"))
	c := newClient(t, ply.Options{})
	proxied := func(c *ply.Client) bool {
		layers := ply.Layers(c)
		return layers[len(layers)-1].Handler.(*http.Transport).Proxy != nil
	}
	trusting, err := c.With(func(o *ply.Options) { o.TrustEnv = true })
	require.NoError(t, err)
	defer trusting.Close()
	again, err := trusting.With(func(o *ply.Options) { o.TrustEnv = false })
	require.NoError(t, err)
	defer again.Close()
	if proxied(c) || !proxied(trusting) || proxied(again) {
		t.Errorf("asks the environment for proxies: %v, %v, %v", proxied(c), proxied(trusting), proxied(again))
	}
}

// uncomparable is a comparable type whose values may panic when they are compared.
type uncomparable struct{ state any }

func (uncomparable) RoundTrip(r *http.Request) (*http.Response, error) {
	return reply(r, http.StatusOK, nil, ""), nil
}

func TestWithUncomparableTransport(t *testing.T) {
	c := newClient(t, ply.Options{Transport: uncomparable{[]int{1}}})
	derived, err := c.With(func(*ply.Options) {})
	require.NoError(t, err)
	get(t, derived, "http://a.test/")
}

func TestErrorsHideSecretsOfURLsThatLayersQuote(t *testing.T) {
	cause := &url.Error{Op: "Get", URL: "http://u:hunter2@login.test/?code=hunter2", Err: io.ErrUnexpectedEOF}
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("auth: %w", cause)
	})})
	_, err := c.Get(t.Context(), "http://a.test/")
	if !errors.Is(err, cause) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "auth: Get") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsHideSecretsOfTheURL(t *testing.T) {
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })})
	_, err := c.Get(t.Context(), "http://user:hunter2@a.test/x?token=hunter2&page=hunter2#hunter2")
	var ue *url.Error
	if !errors.As(err, &ue) || !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "a.test/x?token=") {
		t.Errorf("got %v", err)
	}
}

func TestDoDoesNotModifyTheRequest(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	c := newClient(t, ply.Options{
		BaseURL: "http://a.test/v1", Jar: jar, Header: http.Header{"X-A": {"1"}}, Timeouts: ply.Timeouts{Total: 1e12},
		Defaults: []ply.RequestOption{ply.Query("v", "2"), ply.Bearer("t")}, Transport: &recorder{},
	})
	req, _ := http.NewRequest(http.MethodGet, "/x", nil)
	before := fmt.Sprintf("%+v %s", req, req.URL)
	resp, err := c.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if after := fmt.Sprintf("%+v %s", req, req.URL); before != after {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func TestPlainRequestAllocatesNothing(t *testing.T) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}
	transport := ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return resp, nil })
	c := newClient(t, ply.Options{Transport: transport})
	hc := &http.Client{Transport: transport}
	req, _ := http.NewRequest(http.MethodGet, "http://a.test/", nil)
	ours := testing.AllocsPerRun(100, func() { c.Do(req) })
	theirs := testing.AllocsPerRun(100, func() { hc.Do(req) })
	if ours > theirs {
		t.Errorf("%v allocations, %v without ply", ours, theirs)
	}
}

func TestBodyIsNotClosedByARequestInTheSameContext(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusTemporaryRedirect, http.Header{"Location": {"/new"}}, "")
		}
		return nil
	}}
	var c *ply.Client
	c = newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/old" {
				if err := ply.Discard(c.Post(r.Context(), "http://a.test/token", ply.BodyString("x"))); err != nil {
					return nil, err
				}
			}
			return next.RoundTrip(r)
		})
	}}})
	file := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o600))
	for name, do := range map[string]func(*http.Request) (*http.Response, error){"Do": c.Do, "RoundTrip": (&http.Client{Transport: c}).Do} {
		f, err := os.Open(file)
		require.NoError(t, err)
		defer f.Close()
		req, err := c.NewRequest(t.Context(), http.MethodPut, "http://a.test/old", ply.BodyReader(f))
		require.NoError(t, err)
		if err := ply.Discard(do(req)); err != nil || transport.last().Body != "hello" {
			t.Errorf("%s: got %v, sent %+v", name, err, transport.last())
		}
	}
}

func TestContextCancelsACall(t *testing.T) {
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, "http://a.test/"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLayersGetACompleteRequest(t *testing.T) {
	whole := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL == nil || r.Header == nil {
				t.Errorf("a layer sees URL %v and header %v", r.URL, r.Header)
			}
			return next.RoundTrip(r)
		})
	}
	c := newClient(t, ply.Options{Transport: &recorder{}, UseCall: []ply.Middleware{whole}, Use: []ply.Middleware{whole}})
	for name, do := range map[string]func(*http.Request) (*http.Response, error){"Do": c.Do, "RoundTrip": c.RoundTrip} {
		req := &http.Request{URL: &url.URL{Scheme: "http", Host: "a.test"}}
		if err := ply.Discard(do(req)); err != nil || req.Header != nil {
			t.Errorf("%s: got %v; the caller's header is now %v", name, err, req.Header)
		}
		body := &closeCounter{Reader: strings.NewReader("x")}
		var oe *ply.OptionError
		if err := ply.Discard(do(&http.Request{Body: body})); !errors.As(err, &oe) || body.closed != 1 {
			t.Errorf("%s: without URL got %v, the body closed %d times", name, err, body.closed)
		}
	}
}

func TestCallLayersThatBreakTheContract(t *testing.T) {
	broken := errors.New("broken")
	body := &closeCounter{Reader: strings.NewReader("x")}
	for name, layer := range map[string]ply.HandlerFunc{
		"neither response nor error": func(*http.Request) (*http.Response, error) { return nil, nil },
		"both":                       func(*http.Request) (*http.Response, error) { return &http.Response{Body: body}, broken },
	} {
		for _, timeouts := range []ply.Timeouts{{}, {Total: 1e12}} {
			c := newClient(t, ply.Options{Timeouts: timeouts, UseCall: []ply.Middleware{func(ply.Handler) ply.Handler { return layer }}})
			if resp, err := c.Get(t.Context(), "http://a.test/"); resp != nil || err == nil {
				t.Errorf("%s: got %v, %v", name, resp, err)
			}
		}
	}
	if body.closed != 2 {
		t.Errorf("the dropped response was closed %d times, want once for each of 2 calls", body.closed)
	}
	c := newClient(t, ply.Options{UseCall: []ply.Middleware{func(ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })
	}}})
	if resp := get(t, c, "http://a.test/"); resp.Body == nil {
		t.Error("a response without a body got through")
	}
}

func TestFailedStatusCheckClosesTheBodyOnce(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("no")}
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: body, Request: r}, nil
	})})
	if _, err := c.Get(t.Context(), "http://a.test/", ply.CheckStatus(ply.Below400)); !ply.StatusIs(err, 500) || body.closed != 1 {
		t.Errorf("got %v; closed %d times", err, body.closed)
	}
}

func TestTransportWithoutResponseRequest(t *testing.T) {
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		resp := reply(r, 404, nil, "")
		if r.URL.Path == "/old" {
			resp = reply(r, 302, http.Header{"Location": {"/new"}}, "")
		}
		resp.Request = nil
		return resp, nil
	})})
	_, err := ply.ErrorForStatus(c.Get(t.Context(), "http://a.test/old"))
	if err == nil || err.Error() != "GET http://a.test/new: 404 Not Found" {
		t.Errorf("got %v", err)
	}
}
