package ply_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func notHTTPS(t *testing.T, err error, redirected bool) {
	t.Helper()
	var refusal *ply.HTTPSOnlyError
	if !errors.As(err, &refusal) {
		t.Fatalf("not refused: %v", err)
	}
	if refusal.Redirected != redirected || strings.Contains(refusal.Error(), "hunter2") || strings.Contains(refusal.URL, "hunter2") {
		t.Errorf("redirected %v: %v", refusal.Redirected, err)
	}
}

func TestHTTPSOnlyRefusesPlainHTTP(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("in the clear"))
	c, err := ply.New(ply.Options{HTTPSOnly: true, Transport: origin, Use: []ply.Middleware{retry.New(retry.Options{})}})
	require.NoError(t, err)
	ctx := context.Background()
	for _, target := range []string{"http://example.com/?token=hunter2", "http://localhost/", "HTTP://127.0.0.1/"} {
		_, err := c.Get(ctx, target)
		notHTTPS(t, err, false)
		req, _ := http.NewRequest(http.MethodGet, target, nil)
		_, err = c.RoundTrip(req)
		notHTTPS(t, err, false)
		_, err = c.HTTPClient().Get(target)
		notHTTPS(t, err, false)
	}
	if origin.Count() != 0 {
		t.Errorf("%d requests were sent", origin.Count())
	}
	require.NoError(t, ply.Discard(c.Get(ctx, "https://example.com/")))

	open, err := c.With(func(o *ply.Options) { o.HTTPSOnly = false })
	require.NoError(t, err)
	require.NoError(t, ply.Discard(open.Get(ctx, "http://example.com/")))
	again, err := open.With(func(o *ply.Options) { o.HTTPSOnly = true })
	require.NoError(t, err)
	_, err = again.Get(ctx, "http://example.com/")
	notHTTPS(t, err, false)
}

func TestHTTPSOnlyRefusesADowngradeByARedirect(t *testing.T) {
	for name, do := range map[string]func(*ply.Client, string) (*http.Response, error){
		"Client":     func(c *ply.Client, target string) (*http.Response, error) { return c.Get(context.Background(), target) },
		"HTTPClient": func(c *ply.Client, target string) (*http.Response, error) { return c.HTTPClient().Get(target) },
	} {
		origin := plytest.NewOrigin(plytest.Status(http.StatusFound, "Location", "http://example.com/?token=hunter2"))
		hops := 0
		count := func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
				hops++
				return next.RoundTrip(req)
			})
		}
		c, err := ply.New(ply.Options{HTTPSOnly: true, Transport: origin, Use: []ply.Middleware{count}})
		require.NoError(t, err)
		_, err = do(c, "https://example.com/")
		notHTTPS(t, err, true)
		if hops != 1 || origin.Count() != 1 { // a cache would have answered the second one
			t.Errorf("%s: layers saw %d requests, %d were sent", name, hops, origin.Count())
		}
	}
}

func TestHTTPSOnlyClosesTheBodyThatARedirectWouldHaveSentAgain(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Status(http.StatusTemporaryRedirect, "Location", "http://example.com/"))
	c, err := ply.New(ply.Options{HTTPSOnly: true, Transport: origin})
	require.NoError(t, err)
	var closed []int // times, of each body
	body := func() (io.ReadCloser, error) {
		i := len(closed)
		closed = append(closed, 0)
		return closeFunc{strings.NewReader("x"), func() { closed[i]++ }}, nil
	}
	req, err := http.NewRequest(http.MethodPost, "https://example.com/", nil)
	require.NoError(t, err)
	req.Body, _ = body()
	req.GetBody = body
	_, err = c.Do(req)
	notHTTPS(t, err, true)
	if len(closed) != 2 || closed[0] == 0 || closed[1] != 1 {
		t.Errorf("bodies were closed %v times", closed)
	}
}

type closeFunc struct {
	io.Reader
	close func()
}

func (c closeFunc) Close() error {
	c.close()
	return nil
}

// A layer cannot lead a request astray that it has got from the client, nor send one of its own.
func TestHTTPSOnlyRefusesWhatALayerMakesOfAURL(t *testing.T) {
	for name, downgrade := range map[string]func(*http.Request) *http.Request{
		"in a copy": func(req *http.Request) *http.Request {
			req = req.Clone(req.Context())
			req.URL.Scheme = "http"
			return req
		},
		"in a context of its own": func(*http.Request) *http.Request {
			req, _ := http.NewRequest(http.MethodPost, "http://example.com/token", strings.NewReader("grant"))
			return req
		},
	} {
		origin := plytest.NewOrigin(plytest.Text("in the clear"))
		layer := func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) { return next.RoundTrip(downgrade(req)) })
		}
		c, err := ply.New(ply.Options{HTTPSOnly: true, Transport: origin, Use: []ply.Middleware{layer}})
		require.NoError(t, err)
		_, err = c.Get(context.Background(), "https://example.com/")
		notHTTPS(t, err, false)
		if origin.Count() != 0 {
			t.Errorf("%s: a request was sent in the clear", name)
		}
	}
}

func TestHTTPSOnlyOfATransport(t *testing.T) {
	s := listen(t, "127.0.0.1:0", ok)
	to, _ := url.Parse(s.URL)
	for name, o := range map[string]ply.TransportOptions{
		"direct":          {HTTPSOnly: true},
		"through a proxy": {HTTPSOnly: true, Proxy: http.ProxyURL(to)},
	} {
		tr, err := ply.NewTransport(o)
		require.NoError(t, err)
		_, err = (&http.Client{Transport: tr}).Get(s.URL + "/?token=hunter2")
		var refusal *ply.HTTPSOnlyError
		if !errors.As(err, &refusal) || s.connections.Load() != 0 {
			t.Errorf("%s: %v, %d connections", name, err, s.connections.Load())
		}
		c, err := ply.New(ply.Options{Transport: tr})
		require.NoError(t, err)
		_, err = c.Get(context.Background(), s.URL, ply.ProxyURL(s.URL))
		notHTTPS(t, err, false)
	}
}

func TestHTTPSOnlyWantsABaseURLThatIs(t *testing.T) {
	_, err := ply.New(ply.Options{HTTPSOnly: true, BaseURL: "http://example.com"})
	var bad *ply.OptionError
	if !errors.As(err, &bad) || bad.Option != "BaseURL" {
		t.Errorf("got %v", err)
	}
}
