package ply_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store/storetest"
)

const troubleURL = "https://api.example.com/a"

// Each section of docs/troubleshooting.md shows lines that are printed in its situation, and each situation has a section.
func TestTroubleshootingShowsWhatIsPrinted(t *testing.T) {
	page, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := regexp.MustCompile(`(?m)^## \d+\. (.+)$`).FindAllStringSubmatchIndex(string(page), -1)
	if len(sections) != len(troubles) {
		t.Fatalf("%d sections, %d situations", len(sections), len(troubles))
	}
	for i, at := range sections {
		title := string(page[at[2]:at[3]])
		if title != troubles[i].title {
			t.Errorf("section %d is %q, and its situation %q", i+1, title, troubles[i].title)
			continue
		}
		t.Run(title, func(t *testing.T) {
			_, text, ok := strings.Cut(string(page[at[1]:]), "\n```text\n")
			shown, _, closed := strings.Cut(text, "```")
			if !ok || !closed {
				t.Fatal("no fence of text")
			}
			synctest.Test(t, func(t *testing.T) {
				if diff := cmp.Diff(strings.TrimSpace(troubles[i].lines(t)), strings.TrimSpace(shown)); diff != "" {
					t.Errorf("-printed +shown\n%s", diff)
				}
			})
		})
	}
}

// The table of places to look shows what each of them says.
func TestTroubleshootingShowsEachPlaceToLook(t *testing.T) {
	page, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| where |")
	table, _, _ = strings.Cut(table, "\n\n")
	synctest.Test(t, func(t *testing.T) {
		for i, row := range strings.Split(table, "\n")[2:] {
			cell := strings.Split(row, " | ")[1]
			for _, shown := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
				if said := placesToLook(t)[i]; !strings.Contains(said, shown[1]) {
					t.Errorf("%q does not say %q", said, shown[1])
				}
			}
		}
	})
}

// placesToLook returns what Cache-Status, a log, the reasons of a status and an explanation say of a response with no-store.
func placesToLook(t *testing.T) [4]string {
	var log strings.Builder
	c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "no-store"))
	c.client = ply.Wrap(&http.Client{Transport: c.origin}, logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}), c.cache.Middleware)
	r := c.request("GET", troubleURL, nil)
	resp, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	line := c.line(resp, nil)
	status, _ := cache.StatusOf(resp)
	why, err := c.cache.ExplainResponse(t.Context(), r, resp)
	if err != nil {
		t.Fatal(err)
	}
	return [4]string{line, log.String(), fmt.Sprint(status.Reasons()), fmt.Sprint(why.Rules, why.Changes)}
}

// The table at the top leads to each section.
func TestTroubleshootingListsItsSections(t *testing.T) {
	page, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, trouble := range troubles {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(trouble.title), "")
		link := fmt.Sprintf("[%d](#%d-%s)", i+1, i+1, strings.ReplaceAll(anchor, " ", "-"))
		if !strings.Contains(string(page), link) {
			t.Errorf("no %s", link)
		}
	}
}

// A trouble is a situation in which users expect something else than what they get.
type trouble struct {
	title string
	lines func(*testing.T) string
}

// troubles are in the order of the page.
var troubles = []trouble{
	{"Each request is a miss: no lifetime", func(t *testing.T) string {
		return newTroubled(t, cache.Options{}, plytest.Text("x")).get(troubleURL)
	}},
	{"Each request is a miss: the server forbids it", func(t *testing.T) string {
		return newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "no-store")).get(troubleURL)
	}},
	{"It says `stored`, and the next request misses", closedEarly},
	{"Two requests for one URL miss: other credentials", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60"))
		return c.get(troubleURL, "Cookie", "n=1") + c.get(troubleURL, "Cookie", "n=2") + c.explain("key: credentials", "Cookie", "n=3")
	}},
	{"Two requests for one URL miss: Vary", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60", "Vary", "User-Agent"))
		return c.get(troubleURL, "User-Agent", "app/1") + c.get(troubleURL, "User-Agent", "app/2") + c.explain("varies on", "User-Agent", "app/3")
	}},
	{"A POST is not cached", func(t *testing.T) string {
		return newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60")).post(troubleURL)
	}},
	{"An error is not cached", func(t *testing.T) string {
		return newTroubled(t, cache.Options{Expiry: expiry.After(time.Hour)}, plytest.Status(404)).get(troubleURL)
	}},
	{"An event stream is not cached", func(t *testing.T) string {
		return newTroubled(t, cache.Options{}, plytest.Text("data: x\n\n", "Content-Type", "text/event-stream", "Cache-Control", "max-age=60")).get(troubleURL)
	}},
	{"Nothing is stored since a layer adds a token", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60"))
		c.client = ply.Wrap(&http.Client{Transport: c.origin}, c.cache.Middleware, func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", "Bearer t")
				return next.RoundTrip(r)
			})
		})
		return c.get(troubleURL)
	}},
	{"A shared cache stores nothing that has a token", func(t *testing.T) string {
		return newTroubled(t, cache.Options{Shared: true}, plytest.Text("x", "Cache-Control", "max-age=60")).get(troubleURL, "Authorization", "Bearer t")
	}},
	{"The shared store stays empty: a dialer of your own", ownDialer},
	{"The server is asked each time: no-cache", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{}, plytest.Handle(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Etag", `"v1"`)
			http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("x"))
		}))
		bare := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "no-cache, max-age=60"))
		bare.get(troubleURL)
		return c.get(troubleURL) + c.get(troubleURL) + bare.get(troubleURL)
	}},
	{"The server is asked each time: the request demands it", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60"))
		return c.get(troubleURL) + c.get(troubleURL, "Cache-Control", "no-cache")
	}},
	{"My lifetime is ignored", func(t *testing.T) string {
		o := cache.Options{Expiry: expiry.First(expiry.Default(), expiry.After(time.Hour))}
		return newTroubled(t, o, plytest.Text("x", "Cache-Control", "max-age=0")).get(troubleURL)
	}},
	{"The lifetime is shorter than max-age", func(t *testing.T) string {
		return newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60", "Age", "50")).get(troubleURL)
	}},
	{"The answer is old though it has expired", func(t *testing.T) (lines string) {
		for _, header := range [][]string{nil, {"Cache-Control", "max-stale=0"}} {
			c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60, stale-while-revalidate=600"))
			c.get(troubleURL)
			time.Sleep(65 * time.Second)
			lines += c.get(troubleURL, header...)
			synctest.Wait()
		}
		return lines
	}},
	{"The answer is old after a write", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60"))
		c.get("https://api.example.com/orders/7")
		return "POST /orders: " + c.post("https://api.example.com/orders") + "GET /orders/7: " + c.get("https://api.example.com/orders/7")
	}},
	{"The server is down, and the stored answer is not used", func(t *testing.T) (lines string) {
		for _, o := range []cache.Options{{}, {StaleIfError: 24 * time.Hour}} {
			c := newTroubled(t, o, plytest.Text("x", "Cache-Control", "max-age=60"), plytest.Refuse())
			c.get(troubleURL)
			time.Sleep(65 * time.Second)
			lines += c.get(troubleURL)
		}
		return lines
	}},
	{"A 504 that the server never sent", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{Mode: cache.ModeOnlyIfCached}, plytest.Text("x", "Cache-Control", "max-age=60"))
		resp, err := c.client.Get(troubleURL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return fmt.Sprintf("%d: %s", resp.StatusCode, resp.Header.Get("Cache-Status"))
	}},
	{"`ply.New` refuses my layers", func(t *testing.T) string {
		c := newTroubled(t, cache.Options{}, plytest.Text("x"))
		_, err := ply.New(ply.Options{Use: []ply.Middleware{retry.New(retry.Options{}), c.cache.Middleware}})
		return err.Error()
	}},
}

// troubled is a client with a cache, over a scripted origin.
type troubled struct {
	t      *testing.T
	cache  *cache.Cache
	origin *plytest.Origin
	client *http.Client
}

func newTroubled(t *testing.T, o cache.Options, replies ...plytest.Reply) *troubled {
	c, err := cache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	origin := plytest.NewOrigin(replies...)
	return &troubled{t: t, cache: c, origin: origin, client: ply.Wrap(&http.Client{Transport: origin}, c.Middleware)}
}

// get sends a GET and returns its Cache-Status, or the error, as a line.
func (c *troubled) get(url string, header ...string) string {
	return c.line(c.client.Do(c.request("GET", url, nil, header...)))
}

func (c *troubled) post(url string) string {
	return c.line(c.client.Do(c.request("POST", url, strings.NewReader("{}"))))
}

func (c *troubled) line(resp *http.Response, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.Header.Get("Cache-Status") + "\n"
}

func (c *troubled) request(method, url string, body io.Reader, header ...string) *http.Request {
	r, err := http.NewRequestWithContext(c.t.Context(), method, url, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// explain returns the lines of an Explanation that begin with a text.
func (c *troubled) explain(text string, header ...string) (lines string) {
	x, err := c.cache.Explain(c.t.Context(), c.request("GET", troubleURL, nil, header...))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(x.String()) {
		if line = strings.TrimLeft(line, " "); strings.HasPrefix(line, text) {
			lines += line
		}
	}
	return lines
}

// closedEarly closes a body of 1 MiB unread.
func closedEarly(t *testing.T) (lines string) {
	c := newTroubled(t, cache.Options{}, plytest.Text(strings.Repeat("x", 1<<20), "Cache-Control", "max-age=60"))
	for range 2 {
		r := c.request("GET", troubleURL, nil)
		resp, err := c.client.Do(r.WithContext(cache.WithTrace(r.Context(), &cache.Trace{
			NotStored: func(_ *http.Request, reason string) { lines += "NotStored: " + reason + "\n" },
		})))
		if err != nil {
			t.Fatal(err)
		}
		lines += resp.Header.Get("Cache-Status") + "\n"
		resp.Body.Close()
		synctest.Wait()
	}
	return lines
}

// ownDialer makes a request through a transport that connects by a function, over a store that outlives the process.
func ownDialer(t *testing.T) string {
	c := newTroubled(t, cache.Options{Store: storetest.NewMap(1 << 20)})
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			io.ReadAtLeast(server, make([]byte, 1<<10), 1)
			io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
		}()
		return client, nil
	}}
	defer transport.CloseIdleConnections()
	c.client = ply.Wrap(&http.Client{Transport: transport}, c.cache.Middleware)
	return c.get("http://api.example.com/a")
}
