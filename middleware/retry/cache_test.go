package retry_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// A cache between http.Client and the retry layer hides the hops from each other, unless something above it keeps a tally.
func TestRedirectHopsShareMaxAttemptsThroughACache(t *testing.T) {
	for _, tt := range []struct {
		name string
		ctx  func(context.Context) context.Context
		want int
	}{
		{"tally for the call", func(ctx context.Context) context.Context { ctx, _ = attempt.WithTally(ctx); return ctx }, 2 + 2 + 1},
		{"none", func(ctx context.Context) context.Context { return ctx }, 2 + 2 + 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, err := cache.New(cache.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
					"/a": {plytest.Status(503), plytest.Status(307, "Location", "/b")},
					"/b": {plytest.Status(503), plytest.Status(307, "Location", "/c")},
					"/c": {plytest.Status(503)},
				}}
				log := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
				hc := &http.Client{Transport: log(c.Middleware(retry.New(retry.Options{})(origin)))}
				req, _ := http.NewRequestWithContext(tt.ctx(t.Context()), "GET", "http://example.com/a", nil)
				resp, err := hc.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if n := origin.Count(); n != tt.want {
					t.Errorf("%d requests, want %d", n, tt.want)
				}
			})
		})
	}
}

// A cache outside sees only what retry gives up with, and covers it with a stale response where the response allows that.
func TestCacheServesStaleAfterTheFinalFailure(t *testing.T) {
	fresh := plytest.Text("hello", "Cache-Control", "max-age=10, stale-if-error=3600")
	for _, tt := range []struct {
		name     string
		failures []plytest.Reply
		want     int // requests to the origin after the first
		body     string
	}{
		{"lost", []plytest.Reply{plytest.ResetConnection()}, 3, "hello"},
		{"503", []plytest.Reply{plytest.Status(503)}, 3, "hello"},
		{"cooling down", []plytest.Reply{plytest.RetryIn(503, time.Hour)}, 1, "hello"},
		{"passing", []plytest.Reply{plytest.Status(503), plytest.ResetConnection(), plytest.Text("new")}, 3, "new"},
		{"NXDOMAIN", []plytest.Reply{plytest.NoSuchHost()}, 1, "hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, err := cache.New(cache.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				origin := plytest.NewOrigin(append([]plytest.Reply{fresh}, tt.failures...)...)
				hc := &http.Client{Transport: c.Middleware(retry.New(retry.Options{CoolDown: true})(origin))}
				get := func() string {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					req, _ := http.NewRequestWithContext(ctx, "GET", "http://example.com/", nil)
					resp, err := hc.Do(req)
					if err != nil {
						return err.Error()
					}
					defer resp.Body.Close()
					body, err := io.ReadAll(resp.Body)
					if err != nil {
						return err.Error()
					}
					return string(body)
				}
				got := []string{get()}
				time.Sleep(11 * time.Second)
				got = append(got, get())
				if diff := cmp.Diff([]string{"hello", tt.body}, got); diff != "" || origin.Count()-1 != tt.want {
					t.Errorf("%d requests (-want +got)\n%s", origin.Count()-1, diff)
				}
				if tt.name != "cooling down" {
					return
				}
				// The cool-down answers for the origin now.
				if again := get(); again != "hello" || origin.Count()-1 != tt.want {
					t.Errorf("%q after %d requests", again, origin.Count()-1)
				}
			})
		})
	}
}
