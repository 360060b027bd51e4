package ply_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// proxies runs f with a client over an in-memory transport whose variants differ by their proxies.
func proxies(t *testing.T, o ply.Options, f func(t *testing.T, c *ply.Client, d *dials)) {
	synctest.Test(t, func(t *testing.T) {
		d := &dials{}
		m := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "so")
			w.(http.Flusher).Flush()
			if r.URL.Path == "/slow" {
				time.Sleep(time.Second)
			}
			io.WriteString(w, "me")
		}), nil)
		m.options.DialContext = d.of(m.options.DialContext)
		o.Transport = m.transport(t)
		c, err := ply.New(o)
		require.NoError(t, err)
		f(t, c, d)
		c.Close()
	})
}

func proxyNumber(i int) ply.RequestOption {
	return ply.ProxyURL(fmt.Sprintf("http://%d.proxy.test", i))
}

func TestVariantsAreBounded(t *testing.T) {
	proxies(t, ply.Options{}, func(t *testing.T, c *ply.Client, d *dials) {
		for i := range 200 {
			require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(i)))
		}
		synctest.Wait()
		if made, open := d.counts(); made != 200 || open != 32 {
			t.Errorf("%d connections made and %d open, want 200 and 32", made, open)
		}
		c.CloseIdleConnections()
		synctest.Wait()
		if _, open := d.counts(); open != 0 {
			t.Errorf("%d connections open after CloseIdleConnections", open)
		}
	})
}

func TestExchangeOutlivesTheEvictionOfItsVariant(t *testing.T) {
	proxies(t, ply.Options{}, func(t *testing.T, c *ply.Client, d *dials) {
		resp, err := c.Get(t.Context(), "http://a.test/slow", proxyNumber(0))
		require.NoError(t, err)
		for i := range 40 {
			require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(1+i)))
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "some" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		synctest.Wait()
		if _, open := d.counts(); open != 32 {
			t.Errorf("%d connections open, want 32: the one that ended has nowhere to be kept", open)
		}
	})
}

// TestDefaultVariantIsNotEvicted: as long as it is used; and Close closes it.
func TestDefaultVariantIsNotEvicted(t *testing.T) {
	for name, own := range map[string]ply.RequestOption{"requests as they are": {}, "requests with options": ply.Timeout(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			proxies(t, ply.Options{Defaults: []ply.RequestOption{ply.ProxyURL("http://default.test")}}, func(t *testing.T, c *ply.Client, d *dials) {
				for i := range 100 {
					require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(i)))
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
					require.NoError(t, err)
					if name == "requests with options" {
						req, err = c.NewRequest(t.Context(), http.MethodGet, "http://a.test/", own)
						require.NoError(t, err)
					}
					resp, err := c.Do(req)
					require.NoError(t, err)
					io.Copy(io.Discard, resp.Body)
				}
				synctest.Wait()
				if made, open := d.counts(); made != 101 || open != 32 {
					t.Errorf("%d connections made and %d open, want 101 and 32", made, open)
				}
				c.Close()
				synctest.Wait()
				if _, open := d.counts(); open != 0 {
					t.Errorf("%d connections open after Close", open)
				}
			})
		})
	}
}

func TestCloseClosesVariantsButNotAGivenTransport(t *testing.T) {
	proxies(t, ply.Options{}, func(t *testing.T, c *ply.Client, d *dials) {
		require.NoError(t, fetch(t.Context(), c, "http://a.test/"))
		require.NoError(t, fetch(t.Context(), c, "http://a.test/", proxyNumber(1)))
		derived, err := c.With(func(*ply.Options) {})
		require.NoError(t, err)
		derived.Close()
		synctest.Wait()
		if _, open := d.counts(); open != 2 {
			t.Errorf("%d connections open after a derived client was closed, want 2", open)
		}
		c.Close()
		synctest.Wait()
		if _, open := d.counts(); open != 1 {
			t.Errorf("%d connections open after Close, want that of the transport", open)
		}
	})
}

// TestIdleConnectionOfAVariantTimesOut: even if the base transport keeps its own forever, since no other code closes it after an eviction.
func TestIdleConnectionOfAVariantTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d dials
		m := serveInMemory(t, http.HandlerFunc(ok), nil)
		c := newClient(t, ply.Options{Transport: &http.Transport{DialContext: d.of(m.options.DialContext)}})
		require.NoError(t, fetch(t.Context(), c, m.url))
		require.NoError(t, fetch(t.Context(), c, m.url, proxyNumber(1)))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if _, open := d.counts(); open != 1 {
			t.Errorf("%d connections open after a day, want that of the transport", open)
		}
		c.CloseIdleConnections()
	})
}

func TestVariantsUnderConcurrentUse(t *testing.T) {
	proxies(t, ply.Options{Defaults: []ply.RequestOption{ply.ProxyURL("http://default.test")}}, func(t *testing.T, c *ply.Client, d *dials) {
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range 50 {
					opts := []ply.RequestOption{proxyNumber((g*31 + i) % 45)}
					if i%7 == 0 {
						opts = nil
					}
					if err := fetch(t.Context(), c, "http://a.test/", opts...); err != nil {
						t.Error(err)
					}
					if i%10 == 0 {
						c.CloseIdleConnections()
					}
				}
			})
		}
		all.Wait()
		c.Close()
		time.Sleep(2 * time.Minute) // for a connection that came back to a variant which had made room
		if _, open := d.counts(); open != 0 {
			t.Errorf("%d connections open", open)
		}
	})
}
