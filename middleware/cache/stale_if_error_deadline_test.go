package cache_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// unanswering is an origin that answers at once the first time, and later not before its caller has gone.
type unanswering struct {
	asked  atomic.Int64
	answer func() *http.Response
}

func (o *unanswering) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.asked.Add(1) > 1 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return o.answer(), nil
}

// RFC 5861 §4: to a caller whose deadline passes, the origin is one that cannot be reached.
func TestStaleIfErrorAtTheCallersDeadline(t *testing.T) {
	const sie = "Cache-Control: max-age=1, stale-if-error=600"
	for _, test := range []struct {
		name    string
		field   string
		options cache.Options
		cancel  bool
		want    string // outcome, or an error
	}{
		{"allowed by the server", sie, cache.Options{}, false, "stale"},
		{"alone", sie, cache.Options{NoCollapse: true}, false, "stale"},
		{"allowed by the cache", "Cache-Control: max-age=1", cache.Options{StaleIfError: time.Hour}, false, "stale"},
		{"disconnected", "Cache-Control: max-age=1", cache.Options{MaxStaleDisconnected: time.Hour}, false, "stale"},
		{"not allowed", "Cache-Control: max-age=1", cache.Options{}, false, "context deadline exceeded"},
		{"forbidden", sie + ", must-revalidate", cache.Options{}, false, "context deadline exceeded"},
		{"not any more", "Cache-Control: max-age=1, stale-if-error=2", cache.Options{}, false, "context deadline exceeded"},
		{"canceled", sie, cache.Options{}, true, "context canceled"},
		{"canceled, alone", sie, cache.Options{NoCollapse: true}, true, "context canceled"},
	} {
		for _, size := range []int{10, 3 << 20} {
			t.Run(test.name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					g := newRig(t, nil, test.options)
					g.rt = g.Middleware(&unanswering{answer: func() *http.Response { return reply(200, strings.Repeat("x", size), test.field, `Etag: "a"`) }})
					g.get(url)
					time.Sleep(10 * time.Second)
					before := g.Stats()
					var all sync.WaitGroup
					for range 3 {
						all.Go(func() {
							ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
							defer cancel()
							if test.cancel {
								ctx, cancel = context.WithCancel(t.Context())
								time.AfterFunc(5*time.Second, cancel)
							}
							start := time.Now()
							r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
							resp, err := g.rt.RoundTrip(r)
							if took := time.Since(start); took != 5*time.Second {
								t.Errorf("after %v", took)
							}
							if err != nil {
								if err.Error() != test.want {
									t.Errorf("%v, want %s", err, test.want)
								}
								return
							}
							n, err := io.Copy(io.Discard, resp.Body)
							s, _ := cache.StatusOf(resp)
							if resp.Body.Close(); s.Outcome() != test.want || n != int64(size) || err != nil {
								t.Errorf("%v with %d bytes, %v, want %s", s, n, err, test.want)
							}
						})
						synctest.Wait()
					}
					all.Wait()
					synctest.Wait()
					after := g.Stats()
					stale, failed := after.Stale-before.Stale, after.Errors-before.Errors
					if test.want == "stale" && (stale != 3 || failed != 0) || test.want != "stale" && (stale != 0 || failed != 3) {
						t.Errorf("%d stale, %d errors", stale, failed)
					}
				})
			})
		}
	}
}
