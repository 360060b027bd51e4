package ply_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	filestore "github.com/plyhttp/ply/store/file"
)

// asker is the context key of the user for whom the layers below the cache send a request.
type asker struct{}

func userOf(r *http.Request) string { return r.Context().Value(asker{}).(string) }

// mine is an origin that responds with the name of the user that any of the credentials identifies. Every cache may store the response.
func mine(w http.ResponseWriter, r *http.Request) {
	who := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key") + r.URL.Query().Get("api_key")
	if _, password, ok := r.BasicAuth(); ok {
		who = password
	}
	if c, err := r.Cookie("who"); err == nil {
		who += c.Value
	}
	w.Header().Set("Cache-Control", "public, max-age=60")
	io.WriteString(w, who)
}

// below has the ways in which credentials are added to a request below a cache.
var joinPath = map[string]ply.Middleware{
	"in a copy":       signing(func(r *http.Request) { r.Header.Set("Authorization", userOf(r)) }),
	"an API key":      signing(func(r *http.Request) { r.Header.Set("X-Api-Key", userOf(r)) }),
	"a cookie":        signing(func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "who", Value: userOf(r)}) }),
	"in the query":    signing(func(r *http.Request) { r.URL.RawQuery = "api_key=" + userOf(r) }),
	"by another name": signing(func(r *http.Request) { r.Header["authorization"] = []string{userOf(r)} }),
	"in the userinfo": inClient(func(r *http.Request) *http.Client {
		r.URL.User = url.UserPassword("u", userOf(r))
		return &http.Client{}
	}),
	"by a cookie jar": inClient(jarred),
	"without a trace": signing(func(r *http.Request) {
		r.Header.Set("Authorization", userOf(r))
		*r = *r.WithContext(context.Background())
	}),
	"in a hidden copy": hidden(signing(func(r *http.Request) { r.Header.Set("Authorization", userOf(r)) })),
	"in a second attempt": func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if err := ply.Discard(next.RoundTrip(r)); err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", userOf(r))
			return next.RoundTrip(r)
		})
	},
	"in place": func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			r.Header.Set("Authorization", userOf(r)) // as no layer should, and some do
			return next.RoundTrip(r)
		})
	},
}

// signing is a layer that signs a copy of each request, as the transports of OAuth libraries do.
func signing(sign func(*http.Request)) ply.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			sign(r)
			return next.RoundTrip(r)
		})
	}
}

// inClient is a layer that sends each request with an http.Client.
func inClient(of func(*http.Request) *http.Client) ply.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			client := of(r)
			client.Transport = next
			return client.Do(r)
		})
	}
}

func jarred(r *http.Request) *http.Client {
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(r.URL, []*http.Cookie{{Name: "who", Value: userOf(r)}})
	return &http.Client{Jar: jar}
}

// hidden is a layer that sets Request of each response to the request from above, without the credentials that were added.
func hidden(layer ply.Middleware) ply.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		inner := layer(next)
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := inner.RoundTrip(r)
			if resp != nil {
				resp.Request = r
			}
			return resp, err
		})
	}
}

// mounts are the ways to mount layers.
var mounts = map[string]func(*testing.T, ...ply.Middleware) func(*http.Request) (*http.Response, error){
	"Client": func(t *testing.T, layers ...ply.Middleware) func(*http.Request) (*http.Response, error) {
		c, err := ply.New(ply.Options{Use: layers})
		require.NoError(t, err)
		t.Cleanup(c.CloseIdleConnections)
		return func(r *http.Request) (*http.Response, error) { return c.Do(r) }
	},
	"Wrap": func(t *testing.T, layers ...ply.Middleware) func(*http.Request) (*http.Response, error) {
		return ply.Wrap(&http.Client{Transport: ownTransport(t)}, layers...).Do
	},
	"http.Client": func(t *testing.T, layers ...ply.Middleware) func(*http.Request) (*http.Response, error) {
		return (&http.Client{Transport: ply.Chain(layers...)(ownTransport(t))}).Do
	},
}

// ownTransport returns a transport like http.DefaultTransport, which other tests may change.
func ownTransport(t *testing.T) http.RoundTripper {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// eachCache runs a test with every kind of cache, each with a URL of its own.
func eachCache(t *testing.T, kept map[string]keptBy, origin string, o cache.Options, test func(t *testing.T, c *cache.Cache, url string)) {
	for _, shared := range []string{"private", "shared"} {
		for name, s := range kept {
			t.Run(shared+", "+name, func(t *testing.T) {
				o := o
				o.Shared, o.Store, o.StoreTimeout = shared == "shared", s.private, time.Minute // a busy disk is no miss
				if o.Shared {
					o.Store = s.shared
				}
				c, err := cache.New(o)
				require.NoError(t, err)
				t.Cleanup(func() { c.Close() })
				test(t, c, origin+"/"+url.PathEscape(t.Name()))
			})
		}
	}
}

// keptBy has the stores of a private and of a shared cache: a directory may be that of both, a Memory may not.
type keptBy struct{ private, shared store.Store }

func eachStore(t *testing.T) map[string]keptBy {
	s, err := filestore.Open(t.TempDir(), filestore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	memory := keptBy{cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})}
	return map[string]keptBy{"memory": memory, "file": {s, s}}
}

func sendAs(t *testing.T, send func(*http.Request) (*http.Response, error), ctx context.Context, who, target string) (body string, s cache.Status) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithValue(ctx, asker{}, who), http.MethodGet, target, nil)
	require.NoError(t, err)
	resp, err := send(r)
	require.NoError(t, err)
	s, _ = cache.StatusOf(resp)
	body, err = ply.Text(resp, nil)
	require.NoError(t, err)
	return body, s
}

// Whatever adds credentials below a cache, each user gets the response made for that user.
func TestIsolationOfCredentialsBelow(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(mine))
	defer s.Close()
	kept := eachStore(t)
	for way, layer := range joinPath {
		for how, mount := range mounts {
			t.Run(way+", "+how, func(t *testing.T) {
				eachCache(t, kept, s.URL, cache.Options{}, func(t *testing.T, c *cache.Cache, url string) {
					send := mount(t, c.Middleware, layer)
					for _, who := range []string{"alice", "bob", "alice"} {
						got, status := sendAs(t, send, t.Context(), who, url)
						if got != who {
							t.Errorf("%s got the answer for %q", who, got)
						}
						if status.Stored || status.Hit || !strings.Contains(status.Detail, "credentials were added below the cache") {
							t.Errorf("%s: %v", who, status)
						}
					}
				})
			})
		}
	}
}

// A program that names the principal, or says that there is only one, has its responses stored.
func TestIsolationWithANameForWhoAsks(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(mine))
	defer s.Close()
	kept := eachStore(t)
	for way, layer := range joinPath {
		t.Run(way, func(t *testing.T) {
			eachCache(t, kept, s.URL, cache.Options{}, func(t *testing.T, c *cache.Cache, url string) {
				send := (&http.Client{Transport: ply.Chain(c.Middleware, layer)(ownTransport(t))}).Do
				for i, who := range []string{"alice", "bob", "alice", "bob"} {
					got, status := sendAs(t, send, cache.WithPrincipal(t.Context(), who), who, url)
					if again := i >= 2; got != who || (status.Hit || status.Collapsed) != again {
						t.Errorf("%s got the answer for %q, from the store: %v", who, got, status)
					}
				}
			})
			eachCache(t, kept, s.URL, cache.Options{OneIdentityBelow: true}, func(t *testing.T, c *cache.Cache, url string) {
				send := (&http.Client{Transport: ply.Chain(c.Middleware, layer)(ownTransport(t))}).Do
				for _, again := range []bool{false, true} {
					if got, status := sendAs(t, send, t.Context(), "service", url); got != "service" || (status.Hit || status.Collapsed) != again {
						t.Errorf("%q, from the store: %v, want %v", got, status, again)
					}
				}
			})
		})
	}
}

// Collapsed requests with different credentials below the cache must not share a response.
func TestIsolationOfCollapsedRequests(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(mine))
	defer s.Close()
	kept := eachStore(t)
	for way, layer := range joinPath {
		t.Run(way, func(t *testing.T) {
			eachCache(t, kept, s.URL, cache.Options{}, func(t *testing.T, c *cache.Cache, url string) {
				send := (&http.Client{Transport: ply.Chain(c.Middleware, layer)(ownTransport(t))}).Do
				var wg sync.WaitGroup
				for i := range 12 {
					who := string(rune('a' + i))
					wg.Go(func() {
						r, _ := http.NewRequestWithContext(context.WithValue(t.Context(), asker{}, who), http.MethodGet, url, nil)
						if got, err := ply.Text(send(r)); got != who {
							t.Errorf("%s got the answer for %q (%v)", who, got, err)
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

// Credentials that a request has above the cache are in its key, however they are written on the wire, so its response is stored.
func TestIsolationKeepsWhatIsKeyed(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(mine))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	plain := httptest.NewServer(http.HandlerFunc(mine))
	defer plain.Close()
	proxied := func(*http.Request) (*url.URL, error) {
		u, err := url.Parse(plain.URL)
		u.User = url.UserPassword("proxy", "secret")
		return u, err
	}
	for name, test := range map[string]struct {
		transport *http.Transport
		origin    string
	}{
		"HTTP/1":                     {&http.Transport{}, plain.URL},
		"HTTP/2":                     {s.Client().Transport.(*http.Transport), s.URL},
		"a proxy with its own login": {&http.Transport{Proxy: proxied}, "http://intranet.example"},
	} {
		t.Run(name, func(t *testing.T) {
			defer test.transport.CloseIdleConnections()
			eachCache(t, map[string]keptBy{"memory": {cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})}}, test.origin, cache.Options{}, func(t *testing.T, c *cache.Cache, target string) {
				below := ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
					return test.transport.RoundTrip(r.Clone(r.Context()))
				})
				client := &http.Client{Transport: c.Middleware(below)}
				for _, again := range []bool{false, true} {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target+"?api_key=k&page=1", nil)
					require.NoError(t, err)
					r.URL.User = url.UserPassword("u", "alice")
					r.Header["Cookie"] = []string{"a=1; b=2", "c=3 "}
					r.Header["x-api-key"] = []string{" k"}
					r.Header.Set("X-Auth-Token", "t")
					resp, err := client.Do(r)
					require.NoError(t, err)
					status, _ := cache.StatusOf(resp)
					if _, err := ply.Text(resp, nil); err != nil || (status.Hit || status.Collapsed) != again {
						t.Errorf("from the store: %v (%v)", status, err)
					}
				}
			})
		})
	}
}

// HTTP/2 calls the hooks of httptrace on a goroutine of the stream, and reports the path as a field.
func TestIsolationOverHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(mine))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	for way, layer := range joinPath {
		if way == "without a trace" {
			layer = signing(func(r *http.Request) { r.Header.Set("Authorization", userOf(r)) })
		}
		send := (&http.Client{Transport: ply.Chain(c.Middleware, hidden(layer))(s.Client().Transport)}).Do
		for _, who := range []string{"alice", "bob"} {
			if got, status := sendAs(t, send, t.Context(), who, s.URL+"/"+url.PathEscape(way)); got != who || status.Stored {
				t.Errorf("%s: %s got the answer for %q: %v", way, who, got, status)
			}
		}
	}
}

// The cache's hooks are added to the caller's httptrace hooks and do not replace them.
func TestIsolationLeavesTheCallersTrace(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(mine))
	defer s.Close()
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(joinPath["in a copy"](ownTransport(t)))}
	var mu sync.Mutex
	wrote := map[string]int{}
	connections := 0
	ctx := httptrace.WithClientTrace(context.WithValue(t.Context(), asker{}, "alice"), &httptrace.ClientTrace{
		WroteHeaderField: func(name string, _ []string) {
			mu.Lock()
			defer mu.Unlock()
			wrote[name]++
		},
		GotConn: func(httptrace.GotConnInfo) { connections++ },
	})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	require.NoError(t, err)
	resp, err := client.Do(r)
	require.NoError(t, err)
	if status, _ := cache.StatusOf(resp); status.Stored {
		t.Errorf("stored: %v", status)
	}
	require.NoError(t, ply.Discard(resp, nil))
	mu.Lock()
	defer mu.Unlock()
	if wrote["Authorization"] != 1 || wrote["Host"] != 1 || connections != 1 {
		t.Errorf("the caller's own trace has seen %v and %d connections", wrote, connections)
	}
}
