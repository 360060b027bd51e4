//go:build unix

package survival

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
)

// tagged is an origin whose answers have tags and can be asked for in parts, and change when it is told to.
type tagged struct{ asked, validated, state atomic.Int64 }

func (o *tagged) RoundTrip(r *http.Request) (*http.Response, error) {
	o.asked.Add(1)
	if r.Body != nil {
		r.Body.Close()
	}
	if r.Method == http.MethodPost {
		o.state.Add(1)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "max-age=600")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, o.state.Load()))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body(r.URL.Path, uint64(o.state.Load()), len(r.URL.Path)+sizeOf(r.URL.Path))))
	resp := w.Result()
	resp.Request = r
	if resp.StatusCode == http.StatusNotModified {
		o.validated.Add(1)
	}
	return resp, nil
}

func sizeOf(path string) (n int) {
	_, _ = fmt.Sscan(path[strings.LastIndexByte(path, '/')+1:], &n)
	return n
}

// RunFleet checks two caches over the store at a URL, as two processes have them: what one fetches the other has, with bodies in any number of pieces; what one invalidates,
// validates or clears, is so for the other.
func RunFleet(t *testing.T, url string) {
	t.Helper()
	o := &tagged{}
	trial := Trial{URL: func(string) string { return url }, StoreTimeout: 20 * time.Second}
	one, two := trial.over(t, "", o), trial.over(t, "", o)
	for _, size := range []int{100, 20_000, 300_000, 3 << 20} {
		path := fmt.Sprintf("/fleet/%d", size)
		one.hits(path)
		asked := o.asked.Load()
		if !two.get(path) || !one.get(path) || o.asked.Load() != asked {
			t.Errorf("%s is fetched by both", path)
		}

		before := two.cache.Stats().Stored
		r, err := http.NewRequest(http.MethodGet, "http://example.test"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cache-Control", "no-cache")
		validated := o.validated.Load()
		if b := two.do(r); proven(path, b) != nil || o.validated.Load() != validated+1 {
			t.Errorf("%s is not validated by a 304", path)
		}
		testutil.Eventually(t, "the 304 to be stored", func() bool { return two.cache.Stats().Stored > before })
		if !one.get(path) {
			t.Errorf("%s is no hit after another process has validated it", path)
		}

		post, err := http.NewRequest(http.MethodPost, "http://example.test"+path, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		two.do(post)
		if one.get(path) {
			t.Errorf("%s is served after another process has invalidated it", path)
		}
	}
	one.hits("/fleet/100")
	if err := two.cache.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if one.get("/fleet/100") {
		t.Error("an answer is served after another process has cleared the store")
	}
}

// over returns a client over an origin.
func (trial Trial) over(t testing.TB, addr string, origin http.RoundTripper) *client {
	t.Helper()
	c, err := cache.New(cache.Options{Store: trial.open(t, addr), StoreTimeout: trial.StoreTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{Client: &http.Client{Transport: c.Middleware(origin)}, cache: c, tb: t}
}

// do returns the body of an answer.
func (c *client) do(r *http.Request) []byte {
	c.tb.Helper()
	resp, err := c.Do(r)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.tb.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return b
}
