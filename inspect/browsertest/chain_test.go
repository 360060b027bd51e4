package browsertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// hostile is in everything that an origin can choose. If it were markup, it would run.
const hostile = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'&lt;`

// chain is a client whose chain has an inspector, a cache, retry and what a test adds, and an origin.
type chain struct {
	t         *testing.T
	client    *ply.Client
	inspector *inspect.Inspector
	cache     *cache.Cache
	origin    string
	tries     atomic.Int64
}

func newChain(t *testing.T, keep int, inside ...ply.Middleware) *chain {
	t.Helper()
	s := &chain{t: t}
	origin := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(origin.Close)
	s.origin = "http://api.example"
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "down.example") {
			address = "127.0.0.1:1" // nothing listens there
		} else {
			address = origin.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := cache.New(cache.Options{Tags: cache.SurrogateKey})
	if err != nil {
		t.Fatal(err)
	}
	s.cache = c
	if s.inspector, err = inspect.New(inspect.Options{Keep: keep, Cache: c}); err != nil {
		t.Fatal(err)
	}
	s.client, err = ply.New(ply.Options{Transport: transport, Use: append([]ply.Middleware{s.inspector.Middleware, c.Middleware, retry.New(retry.Options{Backoff: retry.Constant(20 * time.Millisecond)})}, inside...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close(); s.inspector.Close(); c.Close() })
	return s
}

// serve is the origin.
func (s *chain) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	switch path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); path {
	case "users":
		h.Set("Cache-Control", "max-age=600")
		h.Set("Surrogate-Key", "users "+strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/"), "/", "-"))
		h.Set("Vary", "Accept-Language")
		fmt.Fprintf(w, `{"id":%s,"name":"Ada Lovelace","roles":["author","editor"],"account":{"balance":12345678901234567890,"open":true}}`, strconv.Quote(r.URL.Path))
	case "news":
		h.Set("Cache-Control", "max-age=0")
		h.Set("Etag", `"n1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, `{"news":[1,2,3]}`)
	case "flaky":
		if s.tries.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.Set("Cache-Control", "no-store")
		io.WriteString(w, `{"order":7,"customer":{"id":42,"name":"Ada Lovelace"},"lines":[{"item":"tea","count":3,"price":4.5},{"item":"cups","count":2,"price":12.0}],"total":37.5,"paid":true}`)
	case "late":
		if s.tries.Add(1) == 1 {
			<-r.Context().Done() // the first request is never answered
			return
		}
		io.WriteString(w, `{"late":true}`)
	case "moved":
		http.Redirect(w, r, "/users/9", http.StatusFound)
	case "hostile":
		h.Set("Content-Type", "text/html")
		h.Set("Server", hostile)
		h.Set("Cache-Control", "max-age=600")
		h.Set("Surrogate-Key", "<b>tag</b>")
		io.WriteString(w, hostile)
	case "image":
		h.Set("Content-Type", "image/png")
		w.Write([]byte("\x89PNG\r\n\x1a\n\x00\x01\x02\x03"))
	case "broken":
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, `{"error":"no such table: orders"}`)
	default:
		h.Set("Cache-Control", "no-store")
		io.WriteString(w, `{"ok":true}`)
	}
}

// get makes a call and reads its body; its error is for the page to show.
func (s *chain) get(path string, options ...ply.RequestOption) {
	s.t.Helper()
	s.do(s.client.Get(s.t.Context(), s.origin+path, options...))
}

func (s *chain) do(resp *http.Response, err error) {
	s.t.Helper()
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		s.t.Error(err)
	}
	resp.Body.Close()
}

// variety makes calls of all kinds.
func (s *chain) variety() {
	s.t.Helper()
	for i := range 4 {
		s.get(fmt.Sprintf("/users/%d", i))
	}
	s.get("/users/1")
	s.get("/users/2?token=hunter2")
	s.get("/news")
	s.get("/news")
	s.do(s.client.Get(s.t.Context(), s.origin+"/flaky/orders/7?page=2&api_key=hunter2", ply.SetHeader("Accept", "application/json"), ply.SetHeader("Authorization", "Bearer hunter2")))
	s.get("/moved")
	s.do(s.client.Post(s.t.Context(), s.origin+"/orders", ply.BodyJSON(map[string]any{"item": "tea", "count": 3})))
	s.get("/users/1", ply.SetHeader("Authorization", "Bearer hunter2"))
	s.get("/image")
	s.get("/broken")
	s.do(s.client.Get(s.t.Context(), "http://down.example/nothing-listens"))
	s.get("/users/1")
}
