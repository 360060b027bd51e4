package cache_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// over has an origin answer by way of TLS; verified or not.
func over(o *origin, verified bool) *origin {
	state := &tls.ConnectionState{}
	if verified {
		state.VerifiedChains = [][]*x509.Certificate{{{}}}
	}
	answer := o.answer
	return &origin{delay: o.delay, answer: func(r *http.Request) *http.Response {
		resp := answer(r)
		resp.TLS = state
		return resp
	}}
}

const secure = "https://example.com/"

func askBy(t *testing.T, rt http.RoundTripper, method string, fields ...string) (string, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, secure, nil)
	require.NoError(t, err)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	resp := roundTrip(t, rt, r)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	resp.Body.Close()
	return string(body), resp
}

// TestUnverifiedTLSResponseIsNotStored: whatever hides the transport, such an answer is neither stored nor does it change or remove what is.
func TestUnverifiedTLSResponseIsNotStored(t *testing.T) {
	fresh := []string{"Cache-Control: max-age=60", `Etag: "a"`}
	for name, tt := range map[string]struct {
		lax    *origin
		method string
		fields []string
		after  time.Duration
		got    string // by the one who does not verify
	}{
		"a new answer":          {says("forged", fresh...), "GET", []string{"Cache-Control: no-cache"}, 0, "forged"},
		"a confirmation":        {&origin{answer: func(*http.Request) *http.Response { return reply(304, "", append(fresh, "X: forged")...) }}, "GET", []string{"Cache-Control: no-cache"}, 0, "true"},
		"a confirmation, stale": {&origin{answer: func(*http.Request) *http.Response { return reply(304, "", fresh...) }}, "GET", nil, time.Minute, "true"},
		"a disappearance":       {&origin{answer: func(*http.Request) *http.Response { return reply(404, "gone") }}, "GET", []string{"Cache-Control: no-cache"}, 0, "gone"},
		"a head":                {says("", `Etag: "b"`, "Cache-Control: max-age=600"), "HEAD", []string{"Cache-Control: no-cache"}, 0, ""},
		"the head of the same":  {says("", append(fresh, "Content-Length: 4", "X: forged")...), "HEAD", []string{"Cache-Control: no-cache"}, 0, ""},
		"what is not stored":    {says("forged", "Cache-Control: no-store"), "GET", []string{"Cache-Control: no-cache"}, 0, "forged"},
	} {
		for _, durable := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				o := cache.Options{}
				if durable {
					o.Store = storetest.NewMap(1 << 20)
				}
				c, err := cache.New(o)
				require.NoError(t, err)
				defer c.Close()
				strict := over(says("true", fresh...), true)
				lax := over(tt.lax, false)
				verifies, doesNot := c.Middleware(strict), c.Middleware(lax)
				askBy(t, verifies, "GET")
				time.Sleep(tt.after)
				body, resp := askBy(t, doesNot, tt.method, tt.fields...)
				status, _ := cache.StatusOf(resp)
				if body != tt.got || status.Stored || len(lax.asked) != 1 {
					t.Errorf("%s: who does not verify got %q: %s", name, body, resp.Header["Cache-Status"])
				}
				body, resp = askBy(t, verifies, "GET")
				status, _ = cache.StatusOf(resp)
				want := "hit"
				if tt.after > 0 {
					want = "refreshed" // it was not confirmed for those who verify
				}
				if body != "true" || resp.Header.Get("X") != "" || status.Outcome() != want {
					t.Errorf("%s: who verifies got %q with X %q: %s", name, body, resp.Header.Get("X"), resp.Header["Cache-Status"])
				}
			})
		}
	}
}

// TestUnverifiedTLSResponseIsNotShared: those who wait for an unverified answer ask themselves, and are not told of its errors either.
func TestUnverifiedTLSResponseIsNotShared(t *testing.T) {
	for name, lax := range map[string]*origin{
		"an answer":       says("forged", "Cache-Control: max-age=60"),
		"an error":        {answer: func(*http.Request) *http.Response { return reply(503, "forged") }},
		"a bad handshake": {err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
	} {
		for _, stale := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { strangers(t, name, lax, stale) })
		}
	}
}

// strangers has one who does not verify lead an exchange, and one who verifies find it under way; something stale may be at hand.
func strangers(t *testing.T, name string, lax *origin, stale bool) {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	first := &origin{answer: lax.answer, err: lax.err}
	if lax.err == nil {
		first = over(first, false)
	}
	first.delay = time.Second
	strict := over(says("true", "Cache-Control: max-age=1, stale-if-error=600"), true)
	leads, follows := c.Middleware(first), c.Middleware(strict)
	if stale {
		askBy(t, follows, "GET")
		time.Sleep(2 * time.Second)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		r, _ := http.NewRequest("GET", secure, nil)
		if resp, err := leads.RoundTrip(r); err == nil {
			readAll(resp)
		}
	})
	synctest.Wait()
	body, resp := askBy(t, follows, "GET")
	if status, _ := cache.StatusOf(resp); body != "true" || status.Collapsed || status.Outcome() == "stale" {
		t.Errorf("%s: %q, %s", name, body, resp.Header["Cache-Status"])
	}
	wg.Wait()
}

// TestResumedTLSSessionIsVerified: net/http says so, and the cache relies on it.
func TestResumedTLSSessionIsVerified(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "hello")
		}))
		s.TLS = &tls.Config{MaxVersion: version}
		s.StartTLS()
		defer s.Close()
		tr := s.Client().Transport.(*http.Transport).Clone()
		tr.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		tr.DisableKeepAlives = true
		c, err := cache.New(cache.Options{})
		require.NoError(t, err)
		defer c.Close()
		hidden := roundTripper(tr.RoundTrip) // judged by what comes back
		for i, path := range []string{"/a", "/b"} {
			r, err := http.NewRequest("GET", s.URL+path, nil)
			require.NoError(t, err)
			resp := roundTrip(t, c.Middleware(hidden), r)
			readAll(resp)
			status, _ := cache.StatusOf(resp)
			if resp.TLS.DidResume != (i > 0) || !status.Stored {
				t.Errorf("TLS %x, request %d: resumed %v, %s", version, i, resp.TLS.DidResume, resp.Header["Cache-Status"])
			}
		}
	}
}

// seen is a handler that shows a transport and answers in its place.
type seen struct {
	*origin
	transport *http.Transport
}

func (s *seen) Unwrap() http.RoundTripper { return s.transport }

// TestUnnamedConnectionBypassesTheStore: whatever the method, and although a lease would be there.
func TestUnnamedConnectionBypassesTheStore(t *testing.T) {
	unnamed := &http.Transport{TLSClientConfig: &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return nil }}}
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMap(1 << 20)
		c, err := cache.New(cache.Options{Store: m, Lease: time.Second})
		require.NoError(t, err)
		defer c.Close()
		o := says("hello", "Cache-Control: max-age=60", "Content-Location: "+secure)
		rt := c.Middleware(&seen{o, unnamed})
		for _, method := range []string{"GET", "HEAD", "QUERY", "POST", "GET"} {
			_, resp := askBy(t, rt, method)
			if status, _ := cache.StatusOf(resp); status.Hit || status.Stored || !strings.Contains(status.Detail, "no name for the connection") && method != "HEAD" {
				t.Errorf("%s: %s", method, resp.Header["Cache-Status"])
			}
		}
		synctest.Wait()
		for range c.Entries(t.Context()) {
			t.Error("something is stored")
		}
		named := c.Middleware(cache.NamedConnection("gateway")(&seen{o, unnamed}))
		askBy(t, named, "GET")
		again := c.Middleware(cache.NamedConnection("gateway")(&seen{o, unnamed.Clone()}))
		if _, resp := askBy(t, again, "GET"); !strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
			t.Errorf("under its name: %s", resp.Header["Cache-Status"])
		}
		other := c.Middleware(cache.NamedConnection("another")(&seen{o, unnamed}))
		if _, resp := askBy(t, other, "GET"); strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
			t.Errorf("under another name: %s", resp.Header["Cache-Status"])
		}
	})
}

// TestDeleteReachesAllConnections: a request says nothing about the connection that its answer came over.
func TestDeleteReachesAllConnections(t *testing.T) {
	for name, store := range map[string]store.Store{"memory": nil, "bytes": storetest.NewMap(1 << 20)} {
		c, err := cache.New(cache.Options{Store: store, StoreTimeout: time.Minute})
		require.NoError(t, err)
		defer c.Close()
		o := says("hello", "Cache-Control: max-age=60")
		var rts []http.RoundTripper
		for _, server := range []string{"", "a.test", "b.test"} {
			rt := c.Middleware(&seen{o, &http.Transport{TLSClientConfig: &tls.Config{ServerName: server}}})
			askBy(t, rt, "GET")
			rts = append(rts, rt)
		}
		r, _ := http.NewRequest("GET", secure, nil)
		if !c.Contains(r) {
			t.Errorf("%s: nothing there", name)
		}
		require.NoError(t, c.Delete(t.Context(), r))
		if c.Contains(r) {
			t.Errorf("%s: something left", name)
		}
		for _, rt := range rts {
			if _, resp := askBy(t, rt, "GET"); strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
				t.Errorf("%s: %s", name, resp.Header["Cache-Status"])
			}
		}
	}
}

// TestHitOverNamedConnectionAllocatesNoMore: it is named once.
func TestHitOverNamedConnectionAllocatesNoMore(t *testing.T) {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	o := says(strings.Repeat("x", 1<<10), "Cache-Control: max-age=60", "Content-Type: text/plain", `Etag: "a"`)
	for name, rt := range map[string]http.RoundTripper{
		"common": c.Middleware(&seen{o, &http.Transport{}}),
		"named":  c.Middleware(&seen{o, &http.Transport{TLSClientConfig: &tls.Config{ServerName: "a.test"}}}),
		"local":  c.Middleware(&seen{o, &http.Transport{TLSClientConfig: &tls.Config{Time: time.Now}}}),
		"given":  c.Middleware(cache.NamedConnection("gateway")(&seen{o, &http.Transport{TLSClientConfig: &tls.Config{Time: time.Now}}})),
	} {
		askBy(t, rt, "GET")
		r, _ := http.NewRequest("GET", secure, nil)
		if n := testing.AllocsPerRun(100, func() { readAll(roundTrip(t, rt, r)) }); n > 3 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestTransportMayBeConfiguredAfterMounting, as long as that is before the first request.
func TestTransportMayBeConfiguredAfterMounting(t *testing.T) {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	o := says("hello", "Cache-Control: max-age=60")
	late := &http.Transport{}
	rt := c.Middleware(&seen{o, late})
	late.TLSClientConfig = &tls.Config{ServerName: "a.test"}
	askBy(t, rt, "GET")
	if _, resp := askBy(t, c.Middleware(&seen{o, &http.Transport{}}), "GET"); strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
		t.Errorf("the common connection: %s", resp.Header["Cache-Status"])
	}
	if _, resp := askBy(t, c.Middleware(&seen{o, late}), "GET"); !strings.Contains(resp.Header.Get("Cache-Status"), "hit") {
		t.Errorf("the same transport: %s", resp.Header["Cache-Status"])
	}
}

// TestUnixSocketBelowOpaqueTransport: a URL says nothing about them, and the connection that was used does.
func TestUnixSocketBelowOpaqueTransport(t *testing.T) {
	for _, single := range []bool{false, true} {
		c, err := cache.New(cache.Options{OneIdentityBelow: single})
		require.NoError(t, err)
		defer c.Close()
		served := 0
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			served++
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "hello")
		})
		to := func(network, address string) http.RoundTripper {
			tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}}
			t.Cleanup(tr.CloseIdleConnections)
			return c.Middleware(roundTripper(tr.RoundTrip))
		}
		listen := func(network, address string) string {
			l, err := net.Listen(network, address)
			require.NoError(t, err)
			s := &http.Server{Handler: handler}
			go s.Serve(l)
			t.Cleanup(func() { s.Close() })
			return l.Addr().String()
		}
		socket, plain := to("unix", listen("unix", filepath.Join(t.TempDir(), "s"))), to("tcp", listen("tcp", "127.0.0.1:0"))
		for i, want := range []struct {
			rt     http.RoundTripper
			served int
			detail string
		}{{socket, 1, "goes to a socket"}, {socket, 2, "goes to a socket"}, {plain, 3, ""}, {plain, 3, ""}} {
			r, _ := http.NewRequest("GET", "http://service.test/", nil)
			resp := roundTrip(t, want.rt, r)
			readAll(resp)
			if status, _ := cache.StatusOf(resp); served != want.served || !strings.Contains(status.Detail, want.detail) {
				t.Errorf("one identity %v, request %d: %d served, %s", single, i, served, resp.Header["Cache-Status"])
			}
		}
	}
}
