package ecosystem

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gregjones/httpcache"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

func clientWithHTTPCache() *http.Client {
	transport := httpcache.NewTransport(httpcache.NewMemoryCache())
	return transport.Client()
}

func clientWithCache() (*http.Client, error) {
	c, err := cache.New(cache.Options{})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: c.Middleware(http.DefaultTransport)}, nil
}

func cacheLikeHTTPCache() (*cache.Cache, error) {
	return cache.New(cache.Options{
		Key:           keying.SingleUser(), // all who use the client share, whatever their credentials
		Expiry:        expiry.FromServer(), // no lifetime from Last-Modified alone
		ReplayCookies: true,                // a hit sets the cookies that the response has set
		MaxEntryBytes: 64 << 20,            // larger bodies are not stored; the default is 8 MiB
		NoCollapse:    true,                // each miss asks the origin by itself
	})
}

func markHits(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if s, ok := cache.StatusOf(resp); ok && s.Hit {
			resp.Header.Set(httpcache.XFromCache, "1")
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func storedAnswer(ctx context.Context, c *cache.Cache, req *http.Request) (*http.Response, error) {
	entry, err := c.Entry(ctx, req)
	if err != nil {
		return nil, err // cache.ErrNoEntry: nothing stored could answer it
	}
	return entry.Open(ctx)
}

// bothCaches runs f with a client of each library, over one server.
func bothCaches(t *testing.T, h http.HandlerFunc, f func(t *testing.T, hc *http.Client, s *server, ours bool)) {
	t.Helper()
	ply, err := clientWithCache()
	if err != nil {
		t.Fatal(err)
	}
	for name, hc := range map[string]*http.Client{"httpcache": clientWithHTTPCache(), "ply": ply} {
		t.Run(name, func(t *testing.T) { f(t, hc, serve(t, h), name == "ply") })
	}
}

func getWith(t *testing.T, hc *http.Client, url, header, value string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != "" {
		req.Header.Set(header, value)
	}
	resp, err := hc.Do(req)
	textOf(t, resp, err)
	return resp
}

// choose returns the first value for ply, and the second for the other library.
func choose[T any](ours bool, forPly, forThem T) T {
	if ours {
		return forPly
	}
	return forThem
}

func TestMigratingHTTPCacheTheSecondGetIsAHitOfBoth(t *testing.T) {
	bothCaches(t, fresh("hello"), func(t *testing.T, hc *http.Client, s *server, ours bool) {
		getWith(t, hc, s.URL, "", "")
		resp := getWith(t, hc, s.URL, "", "")
		s.saw(t, 1)
		same(t, "X-From-Cache", resp.Header.Get(httpcache.XFromCache), choose(ours, "", "1"))
		status, ok := cache.StatusOf(resp)
		same(t, "Cache-Status", ok && status.Hit, ours)
	})
}

func TestMigratingHTTPCacheAConfirmedResponse(t *testing.T) {
	validated := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "hello")
	}
	bothCaches(t, validated, func(t *testing.T, hc *http.Client, s *server, ours bool) {
		getWith(t, hc, s.URL, "", "")
		resp := getWith(t, hc, s.URL, "", "")
		s.saw(t, 2)
		same(t, "X-From-Cache", resp.Header.Get(httpcache.XFromCache), choose(ours, "", "1"))
		status, _ := cache.StatusOf(resp)
		same(t, "outcome", status.Outcome(), choose(ours, "revalidated", ""))
	})
}

func TestMigratingHTTPCacheUsersAreKeptApart(t *testing.T) {
	bothCaches(t, fresh("hello"), func(t *testing.T, hc *http.Client, s *server, ours bool) {
		getWith(t, hc, s.URL, "Authorization", "Bearer alice")
		getWith(t, hc, s.URL, "Authorization", "Bearer bob")
		s.saw(t, choose[int64](ours, 2, 1))
	})
}

func TestMigratingHTTPCacheVariantsAreKept(t *testing.T) {
	vary := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		fresh(r.Header.Get("Accept-Language"))(w, r)
	}
	bothCaches(t, vary, func(t *testing.T, hc *http.Client, s *server, ours bool) {
		for _, language := range []string{"en", "fr", "en", "fr"} {
			getWith(t, hc, s.URL, "Accept-Language", language)
		}
		s.saw(t, choose[int64](ours, 2, 4))
	})
}

func TestMigratingHTTPCacheLastModifiedGivesALifetime(t *testing.T) {
	old := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", time.Now().Add(-24*time.Hour).UTC().Format(http.TimeFormat))
		io.WriteString(w, "hello")
	}
	bothCaches(t, old, func(t *testing.T, hc *http.Client, s *server, ours bool) {
		getWith(t, hc, s.URL, "", "")
		getWith(t, hc, s.URL, "", "")
		s.saw(t, choose[int64](ours, 1, 2))
	})
}

func TestMigratingHTTPCacheHitsSetNoCookies(t *testing.T) {
	login := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		fresh("hello")(w, r)
	}
	bothCaches(t, login, func(t *testing.T, hc *http.Client, s *server, ours bool) {
		getWith(t, hc, s.URL, "", "")
		resp := getWith(t, hc, s.URL, "", "")
		s.saw(t, 1)
		same(t, "cookies of a hit", len(resp.Cookies()), choose(ours, 0, 1))
	})
}

func TestMigratingHTTPCacheDecodersHaveTheirAnswersStored(t *testing.T) {
	bothCaches(t, fresh(`{"id": 7}`+strings.Repeat(" ", 4<<10)), func(t *testing.T, hc *http.Client, s *server, ours bool) {
		for range 2 {
			resp, err := hc.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			var v struct{ ID int }
			if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		s.saw(t, choose[int64](ours, 1, 2))
	})
}

func TestMigratingHTTPCacheLargeBodiesAreNotStored(t *testing.T) {
	bothCaches(t, fresh(strings.Repeat("x", 9<<20)), func(t *testing.T, hc *http.Client, s *server, ours bool) {
		getWith(t, hc, s.URL, "", "")
		getWith(t, hc, s.URL, "", "")
		s.saw(t, choose[int64](ours, 2, 1))
	})
}

func TestMigratingHTTPCacheWritesInvalidate(t *testing.T) {
	bothCaches(t, fresh("hello"), func(t *testing.T, hc *http.Client, s *server, ours bool) {
		getWith(t, hc, s.URL, "", "")
		resp, err := hc.Post(s.URL, "text/plain", nil)
		textOf(t, resp, err)
		getWith(t, hc, s.URL, "", "")
		s.saw(t, choose[int64](ours, 3, 2))
	})
}

func TestMigratingHTTPCacheCredentialsBelowAreNotStored(t *testing.T) {
	below := roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer service")
		return http.DefaultTransport.RoundTrip(r)
	})
	for name, c := range map[string]struct {
		transport http.RoundTripper
		want      int64
	}{
		"httpcache":              {&httpcache.Transport{Transport: below, Cache: httpcache.NewMemoryCache()}, 1},
		"ply":                    {newCache(t, cache.Options{}).Middleware(below), 2},
		"ply, with one identity": {newCache(t, cache.Options{OneIdentityBelow: true}).Middleware(below), 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, fresh("hello"))
			for range 2 {
				getWith(t, &http.Client{Transport: c.transport}, s.URL, "", "")
			}
			s.saw(t, c.want)
		})
	}
}

func TestMigratingHTTPCacheOptionsLikeItsOwn(t *testing.T) {
	c, err := cacheLikeHTTPCache()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	hc := &http.Client{Transport: markHits(c.Middleware(http.DefaultTransport))}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		fresh("hello")(w, r)
	})
	getWith(t, hc, s.URL, "Authorization", "Bearer alice")
	resp := getWith(t, hc, s.URL, "Authorization", "Bearer bob")
	s.saw(t, 1)
	same(t, "X-From-Cache", resp.Header.Get(httpcache.XFromCache), "1")
	same(t, "cookies", len(resp.Cookies()), 1)
	stored, err := storedAnswer(t.Context(), c, httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil))
	same(t, "stored", textOf(t, stored, err), "hello")
	_, err = storedAnswer(t.Context(), c, httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/other", nil))
	same(t, "what is not stored", err, cache.ErrNoEntry)
}
