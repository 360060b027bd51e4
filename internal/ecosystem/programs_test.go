package ecosystem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/gocolly/colly/v2"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func serveTLS(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

// colly: a second crawl is answered from the store, links and all.
func TestColly(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		body := `<a href="/one">1</a><a href="/two">2</a>`
		if r.URL.Path != "/" {
			body = "<p>" + r.URL.Path + "</p>"
		}
		fresh(body)(w, r)
	})
	chain := ply.Chain(newCache(t, cache.Options{}).Middleware, eager(2))(nil)
	for range 2 {
		crawler := colly.NewCollector()
		crawler.WithTransport(chain)
		var pages []string
		crawler.OnHTML("a[href]", func(e *colly.HTMLElement) { e.Request.Visit(e.Attr("href")) })
		crawler.OnHTML("p", func(e *colly.HTMLElement) { pages = append(pages, e.Text) })
		if err := crawler.Visit(origin.URL + "/"); err != nil {
			t.Fatal(err)
		}
		same(t, "pages", strings.Join(pages, " "), "/one /two")
	}
	origin.saw(t, 3)
}

// coder/websocket dials through the whole chain, and talks both ways.
func TestWebsocket(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if err := conn.Write(r.Context(), kind, append([]byte("echo "), message...)); err != nil {
				return
			}
		}
	})
	client := newClient(t, ply.Options{Use: []ply.Middleware{logging.New(logging.Options{}), newCache(t, cache.Options{}).Middleware, eager(2)}})
	conn, _, err := websocket.Dial(t.Context(), origin.URL, &websocket.DialOptions{HTTPClient: client.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for i := range 5 {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		_, message, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "message", string(message), fmt.Sprint("echo ", i))
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	origin.saw(t, 1)
}

// httputil.ReverseProxy over a caching chain, under load, with clients that go away in the middle of their bodies.
// Each body says what it should be, so that none that is mixed up, cut or changed passes.
func TestReverseProxyWithAborts(t *testing.T) {
	plytest.CheckGoroutines(t)
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		fresh(provable(r.URL.Path))(w, r)
	})
	target, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := ply.NewTransport(ply.TransportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: ply.Chain(newCache(t, cache.Options{Shared: true}).Middleware, eager(2))(transport),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				t.Errorf("the proxy failed: %v", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	defer proxy.Close()
	hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer hc.CloseIdleConnections()
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() {
			for i := range 60 {
				path := fmt.Sprintf("/%d", (n*7+i)%25)
				abort := (n+i)%3 == 0
				if err := fetch(t.Context(), hc, proxy.URL+path, path, abort); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		})
	}
	clients.Wait()
	if n := origin.requests.Load(); n > 200 {
		t.Errorf("the origin was asked %d times for 25 URLs", n)
	}
}

// provable is 64 KiB of text that begins with its own path and ends with its checksum.
func provable(path string) string {
	text := strings.Repeat(path+" ", 64<<10/(len(path)+1))
	sum := sha256.Sum256([]byte(text))
	return text + hex.EncodeToString(sum[:])
}

// fetch reads a body whole and proves it, or goes away after its first bytes.
func fetch(ctx context.Context, hc *http.Client, url, path string, abort bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := hc.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if abort {
		_, err := io.CopyN(io.Discard, resp.Body, 100)
		return err
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if string(b) != provable(path) {
		return fmt.Errorf("%d bytes that are not its content", len(b))
	}
	return nil
}
