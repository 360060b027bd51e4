package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestHitIsACompleteResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(203, "hello", "Cache-Control: max-age=60", "X-A: 1", "X-A: 2", "Content-Length: 5")
			resp.Status, resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "203 Fine", "HTTP/2.0", 2, 0
			resp.Trailer = http.Header{"X-Sum": {"1"}}
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		_, miss := g.get(url)
		_, hit := g.get(url)
		for _, resp := range []*http.Response{miss, hit} {
			resp.Header.Del("Cache-Status")
			resp.Header.Del("Age")
			resp.Body, resp.Request = nil, nil
		}
		if diff := cmp.Diff(miss, hit, cmp.Comparer(func(a, b *http.Request) bool { return true })); diff != "" {
			t.Errorf("response (-miss +hit)\n%s", diff)
		}
	})
}

// Whatever a caller does to what it was given, the store and other callers do not see it.
func TestHitsShareNoMutableState(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60", "X-A: 1", `Etag: "a"`), cache.Options{})
		spoil := func(resp *http.Response) {
			for name, values := range resp.Header {
				for i := range values {
					values[i] = "spoiled"
				}
				resp.Header[name] = append(values, "spoiled")
			}
			resp.Header.Set("X-B", "spoiled")
			delete(resp.Header, "Cache-Control")
			resp.Request.Header.Set("X-C", "spoiled")
		}
		r, _ := http.NewRequest("GET", url, nil)
		resp, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		spoil(resp) // before the body has been read
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		for range 2 {
			have, resp := g.get(url)
			g.want(have, 200, "hello", "hit", 1)
			if resp.Header.Get("X-A") != "1" || len(resp.Header["X-A"]) != 1 || resp.Header.Get("X-B") != "" || resp.Header.Get("Cache-Control") != "max-age=60" {
				t.Errorf("header %v", resp.Header)
			}
			spoil(resp)
		}
	})
}

func TestHitBodies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("hello", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url)
		r, _ := http.NewRequest("GET", url, nil)
		resp, _ := g.rt.RoundTrip(r)
		var b bytes.Buffer
		one := make([]byte, 1)
		for range 2 {
			n, err := resp.Body.Read(one)
			require.NoError(t, err)
			b.Write(one[:n])
		}
		n, err := resp.Body.(io.WriterTo).WriteTo(&b)
		if n != 3 || err != nil || b.String() != "hello" {
			t.Errorf("%d bytes, %v: %q", n, err, b.String())
		}
		if n, err := resp.Body.Read(one); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
		require.NoError(t, resp.Body.Close())
		require.NoError(t, resp.Body.Close())
		if _, err := resp.Body.Read(one); err != http.ErrBodyReadAfterClose {
			t.Errorf("after Close: %v", err)
		}
	})
}

// However often a response is used, its age is the time since it was generated.
func TestHitAgeIsTimeSinceGeneration(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=600", "Age: 30"), cache.Options{})
		start := time.Now()
		g.get(url)
		for range 20 {
			time.Sleep(1100 * time.Millisecond)
			_, resp := g.get(url)
			if want := fmt.Sprint(30 + int(time.Since(start)/time.Second)); resp.Header.Get("Age") != want || len(resp.Header["Age"]) != 1 {
				t.Errorf("Age %q, want %s", resp.Header["Age"], want)
			}
		}
	})
}

// Hits do not notice that their entry is brought up to date, and what callers do to them stays theirs.
func TestHitsDuringFreshening(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 1000)
	n := 0
	o := &origin{answer: func(r *http.Request) *http.Response {
		n++
		if r.Header.Get("If-None-Match") != "" {
			return reply(304, "", `Etag: "a"`, "X-N: fresh", "Cache-Control: max-age=60")
		}
		return reply(200, string(body), `Etag: "a"`, "Cache-Control: max-age=60", "X-N: first")
	}}
	var lock = make(chan struct{}, 1)
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	rt := c.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
		lock <- struct{}{}
		defer func() { <-lock }()
		return o.RoundTrip(r)
	}))
	done := make(chan struct{})
	for worker := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 100 {
				ctx := context.Background()
				if (i+worker)%5 == 0 {
					ctx = cache.WithMode(ctx, cache.ModeNoCache)
				}
				r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
				resp, err := rt.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				for name, values := range resp.Header {
					for i := range values {
						values[i] = "forged"
					}
					resp.Header[name] = append(values, "more")
				}
				r.Header.Set("X", "y")
				got, err := io.ReadAll(iotest.HalfReader(resp.Body))
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				clear(got)
			}
		}()
	}
	for range 8 {
		<-done
	}
}
