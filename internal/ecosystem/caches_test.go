package ecosystem

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bartventer "github.com/bartventer/httpcache"
	_ "github.com/bartventer/httpcache/store/memcache"
	gregjones "github.com/gregjones/httpcache"
	sandrolain "github.com/sandrolain/httpcache"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

// The caches of docs/comparison.md, each as it is without options.
var goCaches = []struct {
	name string
	over func(t *testing.T, origin http.RoundTripper) http.RoundTripper
}{
	{"ply", func(t *testing.T, origin http.RoundTripper) http.RoundTripper {
		return newCache(t, cache.Options{}).Middleware(origin)
	}},
	{"gregjones", func(_ *testing.T, origin http.RoundTripper) http.RoundTripper {
		return &gregjones.Transport{Transport: origin, Cache: gregjones.NewMemoryCache(), MarkCachedResponses: true}
	}},
	{"bartventer", func(_ *testing.T, origin http.RoundTripper) http.RoundTripper {
		return bartventer.NewTransport("memcache://", bartventer.WithUpstream(origin))
	}},
	{"sandrolain", func(_ *testing.T, origin http.RoundTripper) http.RoundTripper {
		return &sandrolain.Transport{Transport: origin, Cache: sandrolain.NewMemoryCache(), MarkCachedResponses: true}
	}},
}

// A probe is a row of the table: an origin, and requests through a cache that show whether it does what the row says.
type probe struct {
	origin func(n int64, w http.ResponseWriter, r *http.Request)
	does   func(c *cacheUnderProbe) bool
}

// A cacheUnderProbe is a cache over an origin that a probe writes.
type cacheUnderProbe struct {
	t        *testing.T
	cache    http.RoundTripper
	requests atomic.Int64
}

func (c *cacheUnderProbe) do(method, header string) (status int, body string, h http.Header) {
	resp, err := c.cache.RoundTrip(c.request(method, header))
	if err != nil {
		return 0, "", nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, "", resp.Header
	}
	return resp.StatusCode, string(b), resp.Header
}

// request makes a request whose header fields are written "Name: value", one a line.
func (c *cacheUnderProbe) request(method, header string) *http.Request {
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://origin.test/a", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		req.Header.Add(name, value)
	}
	return req
}

func (c *cacheUnderProbe) get(header string) string {
	_, body, _ := c.do(http.MethodGet, header)
	return body
}

// asked reports how many requests f has sent to the origin.
func (c *cacheUnderProbe) asked(f func()) int64 {
	before := c.requests.Load()
	f()
	synctest.Wait()
	return c.requests.Load() - before
}

// hit reports whether a GET with these fields is answered without the origin, and with a body.
func (c *cacheUnderProbe) hit(header string) bool {
	var body string
	return c.asked(func() { body = c.get(header) }) == 0 && body != ""
}

// origin answers each request by h, which is told how many there have been.
func (c *cacheUnderProbe) origin(h func(n int64, w http.ResponseWriter, r *http.Request)) http.RoundTripper {
	return plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		h(c.requests.Add(1), w, r)
	}))
}

// answering makes an origin that answers "hello" with these fields, written "Name: value", one a line.
func answering(header string) func(int64, http.ResponseWriter, *http.Request) {
	return func(_ int64, w http.ResponseWriter, _ *http.Request) {
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			w.Header()[name] = append(w.Header()[name], value)
		}
		io.WriteString(w, "hello")
	}
}

// The rows of the table "Four caches for Go, executed" in docs/comparison.md, in its order. It is one table, however long.
func cacheProbes() map[string]probe {
	minute := answering("Cache-Control: max-age=60")
	return map[string]probe{
		"a fresh response answers the next GET": {minute, func(c *cacheUnderProbe) bool {
			c.get("")
			return c.hit("")
		}},
		"two variants of a URL (`Vary`) are both kept": {answering("Cache-Control: max-age=60\nVary: Accept-Language"), func(c *cacheUnderProbe) bool {
			c.get("Accept-Language: en")
			c.get("Accept-Language: fr")
			return c.hit("Accept-Language: en") && c.hit("Accept-Language: fr")
		}},
		"a response with `Vary: *` is not reused": {answering("Cache-Control: max-age=60\nVary: *"), func(c *cacheUnderProbe) bool {
			c.get("")
			return !c.hit("")
		}},
		"the `Age` that a response came with counts": {answering("Cache-Control: max-age=60\nAge: 59"), func(c *cacheUnderProbe) bool {
			c.get("")
			time.Sleep(2 * time.Second)
			return !c.hit("")
		}},
		"hits say their age, and say it right": {minute, func(c *cacheUnderProbe) bool {
			c.get("")
			for second := 1; second <= 4; second++ {
				time.Sleep(time.Second)
				if _, _, h := c.do(http.MethodGet, ""); h.Get("Age") != fmt.Sprint(second) {
					return false
				}
			}
			return true
		}},
		"`Last-Modified` alone gives a lifetime (RFC 9111 §4.2.2)": {func(n int64, w http.ResponseWriter, r *http.Request) {
			answering("Last-Modified: "+time.Now().Add(-24*time.Hour).UTC().Format(http.TimeFormat))(n, w, r)
		}, func(c *cacheUnderProbe) bool {
			c.get("")
			return c.hit("")
		}},
		"the response to one `Authorization` does not answer another": {minute, func(c *cacheUnderProbe) bool {
			c.get("Authorization: Bearer alice")
			return !c.hit("Authorization: Bearer bob")
		}},
		"`stale-if-error` when the connection fails": {func(n int64, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				panic(http.ErrAbortHandler)
			}
			answering("Cache-Control: max-age=1, stale-if-error=600")(n, w, r)
		}, func(c *cacheUnderProbe) bool {
			c.get("")
			time.Sleep(time.Minute)
			return c.get("") == "hello"
		}},
		"`stale-if-error` when the origin answers 503": {func(n int64, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			answering("Cache-Control: max-age=1, stale-if-error=600")(n, w, r)
		}, func(c *cacheUnderProbe) bool {
			c.get("")
			time.Sleep(time.Minute)
			return c.get("") == "hello"
		}},
		"`stale-while-revalidate`: ten stale hits make one refresh": {func(n int64, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				time.Sleep(time.Second)
			}
			answering("Cache-Control: max-age=1, stale-while-revalidate=600\nEtag: \"v1\"")(n, w, r)
		}, func(c *cacheUnderProbe) bool {
			c.get("")
			time.Sleep(time.Minute)
			return c.asked(func() {
				for range 10 {
					c.get("")
				}
				time.Sleep(2 * time.Second)
			}) == 1
		}},
		"a POST that succeeds invalidates the GET": {minute, func(c *cacheUnderProbe) bool {
			c.get("")
			c.do(http.MethodPost, "")
			return !c.hit("")
		}},
		"a request for a range leaves the stored response": {minute, func(c *cacheUnderProbe) bool {
			c.get("")
			c.get("Range: bytes=0-1")
			return c.hit("")
		}},
		"a range is answered from the stored response": {answering("Cache-Control: max-age=60\nEtag: \"v1\""), func(c *cacheUnderProbe) bool {
			c.get("")
			return c.asked(func() { c.get("Range: bytes=0-1") }) == 0
		}},
		"HEAD is answered from a stored GET": {minute, func(c *cacheUnderProbe) bool {
			c.get("")
			return c.asked(func() { c.do(http.MethodHead, "") }) == 0
		}},
		"`no-store` on a second line is obeyed": {answering("Cache-Control: max-age=60\nCache-Control: no-store"), func(c *cacheUnderProbe) bool {
			c.get("")
			return !c.hit("")
		}},
		"`No-Store` is obeyed as `no-store` is": {answering("Cache-Control: max-age=60, No-Store"), func(c *cacheUnderProbe) bool {
			c.get("")
			return !c.hit("")
		}},
		"a body that broke off is not stored": {func(n int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "hel")
			w.(http.Flusher).Flush()
			if n == 1 {
				panic(http.ErrAbortHandler)
			}
		}, func(c *cacheUnderProbe) bool {
			c.get("")
			return !c.hit("")
		}},
		"stored although the caller stops before the end, as a JSON decoder does": {minute, func(c *cacheUnderProbe) bool {
			resp, err := c.cache.RoundTrip(c.request(http.MethodGet, ""))
			if err != nil {
				return false
			}
			io.ReadFull(resp.Body, make([]byte, 4))
			resp.Body.Close()
			synctest.Wait()
			return c.hit("")
		}},
		"the first bytes of a miss arrive before its last": {func(n int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "hel")
			w.(http.Flusher).Flush()
			time.Sleep(time.Minute)
			io.WriteString(w, "lo")
		}, func(c *cacheUnderProbe) bool {
			start := time.Now()
			resp, err := c.cache.RoundTrip(c.request(http.MethodGet, ""))
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			io.ReadFull(resp.Body, make([]byte, 3))
			soon := time.Since(start) < time.Minute
			io.Copy(io.Discard, resp.Body)
			return soon
		}},
		"100 requests at once make one": {func(n int64, w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			minute(n, w, r)
		}, func(c *cacheUnderProbe) bool {
			return c.asked(func() {
				done := make(chan struct{})
				for range 100 {
					go func() { c.get(""); done <- struct{}{} }()
				}
				for range 100 {
					<-done
				}
			}) == 1
		}},
		"`only-if-cached` never serves what is stale": {answering("Cache-Control: max-age=1"), func(c *cacheUnderProbe) bool {
			c.get("")
			time.Sleep(time.Minute)
			status, _, _ := c.do(http.MethodGet, "Cache-Control: only-if-cached")
			return status == http.StatusGatewayTimeout
		}},
		"no field of the request turns up in the response": {answering("Cache-Control: max-age=60\nVary: Authorization"), func(c *cacheUnderProbe) bool {
			c.get("Authorization: Bearer alice")
			_, _, h := c.do(http.MethodGet, "Authorization: Bearer alice")
			for _, values := range h {
				if slices.Contains(values, "Bearer alice") {
					return false
				}
			}
			return true
		}},
		"a body of 9 MiB is stored": {func(_ int64, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, strings.Repeat("x", 9<<20))
		}, func(c *cacheUnderProbe) bool {
			c.get("")
			return c.hit("")
		}},
		"a hit sets the cookies that the stored response has set": {answering("Cache-Control: max-age=60\nSet-Cookie: session=1"), func(c *cacheUnderProbe) bool {
			c.get("")
			_, _, h := c.do(http.MethodGet, "")
			return h.Get("Set-Cookie") != ""
		}},
		"`Cache-Status` (RFC 9211) says what happened": {minute, func(c *cacheUnderProbe) bool {
			c.get("")
			_, _, h := c.do(http.MethodGet, "")
			return strings.Contains(h.Get("Cache-Status"), "; hit")
		}},
	}
}

// What docs/comparison.md says that four caches do is what they do.
func TestCachesDoWhatTheComparisonSays(t *testing.T) {
	if _, err := os.ReadFile(uncached); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/comparison.md")
	if err != nil {
		t.Fatal(err)
	}
	probes := cacheProbes()
	rows := regexp.MustCompile(`(?m)^\| ([^|]+?) \| (yes|no) \| (yes|no) \| (yes|no) \| (yes|no) \|$`).FindAllStringSubmatch(string(page), -1)
	same(t, "rows", len(rows), len(probes))
	for _, row := range rows {
		probe, there := probes[row[1]]
		if !there {
			t.Errorf("no probe for the row %q", row[1])
			continue
		}
		for i, contender := range goCaches {
			t.Run(contender.name+"/"+row[1], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := &cacheUnderProbe{t: t}
					c.cache = contender.over(t, c.origin(probe.origin))
					does := map[bool]string{true: "yes", false: "no"}[probe.does(c)]
					same(t, contender.name, does, row[2+i])
				})
			})
		}
	}
}
