package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestOriginErrorIsReturnedToTheCaller(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		oops := errors.New("oops")
		o := says("x")
		o.err = oops
		g := newRig(t, o, cache.Options{})
		r, _ := http.NewRequest("GET", url, nil)
		if resp, err := g.rt.RoundTrip(r); resp != nil || !errors.Is(err, oops) {
			t.Errorf("%v, %v", resp, err)
		}
		c, _ := cache.New(cache.Options{})
		nothing := c.Middleware(roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil }))
		if resp, err := nothing.RoundTrip(r); resp != nil || err == nil {
			t.Errorf("neither response nor error: %v, %v", resp, err)
		}
	})
}

func TestUnavailableOriginServesStaleOtherErrorsDoNot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-if-error=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		o.err = fmt.Errorf("wrapped: %w", unavailable(true))
		have, _ := g.get(url)
		g.want(have, 200, "x", "stale", 2)
		o.err = unavailable(false)
		r, _ := http.NewRequest("GET", url, nil)
		if _, err := g.rt.RoundTrip(r); !errors.Is(err, o.err) {
			t.Errorf("error %v, want the layer's own", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o.err, o.delay = context.Canceled, time.Second // so that the caller is gone first
		if _, err := g.rt.RoundTrip(r.WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who has gone gets %v", err)
		}
		time.Sleep(o.delay)
	})
}

func TestMaxStaleDisconnectedServesStaleWithoutOrigin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x")
		g := newRig(t, o, cache.Options{MaxStaleDisconnected: time.Hour})
		g.get(url)
		time.Sleep(59 * time.Minute)
		o.err = errors.New("no route to host")
		have, _ := g.get(url)
		g.want(have, 200, "x", "stale", 2)
		time.Sleep(2 * time.Minute)
		r, _ := http.NewRequest("GET", url, nil)
		_, err := g.rt.RoundTrip(r)
		require.Error(t, err)
	})
}

// RFC 9111 §5.2.1.1: a fresh response that is older than the request accepts does not stand in for an origin that is down.
func TestOriginErrorWithResponseOlderThanRequestMaxAge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(10 * time.Second)
		o.err = errors.New("connection refused")
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		r.Header.Set("Cache-Control", "max-age=5")
		if resp, err := g.rt.RoundTrip(r); err == nil {
			t.Errorf("answered with %d", resp.StatusCode)
		}
		r.Header.Set("Cache-Control", "max-age=10")
		have, _ := g.send(r)
		g.want(have, 200, "x", "hit", 2)
	})
}
