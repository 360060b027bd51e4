package ecosystem

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func clientWithRetryableHTTP(transport http.RoundTripper) *http.Client {
	client := retryablehttp.NewClient()
	client.HTTPClient.Transport = transport
	client.Logger = nil
	return client.StandardClient()
}

func clientWithRetry(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: retry.New(retry.Options{MaxAttempts: 5})(transport)}
}

func likeRetryableHTTP(transport http.RoundTripper) *http.Client {
	layer := retry.New(retry.Options{
		MaxAttempts:   5,
		Backoff:       retry.Exponential(time.Second, 30*time.Second), // no jitter
		MaxRetryAfter: 24 * time.Hour,                                 // obeyed, however long
		Budget:        retry.Unlimited,                                // an outage gets five times the load
		BufferBody:    64 << 20,                                       // bodies are read into memory
		Rules:         []retry.Rule{likeDefaultRetryPolicy},
	})
	return &http.Client{Transport: layer(transport)}
}

// likeDefaultRetryPolicy sends a POST again, too, although the server may have carried it out.
func likeDefaultRetryPolicy(a *retry.Attempt) retry.Verdict {
	switch {
	case a.Err != nil:
		return retry.Undecided // certificates that do not verify and the like are final
	case a.Response.StatusCode == 429, a.Response.StatusCode >= 500 && a.Response.StatusCode != 501:
		return retry.Retry
	}
	return retry.Final
}

// bothRetries runs f with a client of each library over an origin of its own, in fake time.
func bothRetries(t *testing.T, replies []plytest.Reply, f func(t *testing.T, hc *http.Client, origin *plytest.Origin, ours bool)) {
	t.Helper()
	for name, client := range map[string]func(http.RoundTripper) *http.Client{"go-retryablehttp": clientWithRetryableHTTP, "ply": clientWithRetry} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(replies...)
				f(t, client(origin), origin, name == "ply")
			})
		})
	}
}

func send(ctx context.Context, t *testing.T, hc *http.Client, method string, body io.Reader) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://origin.test/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

func TestMigratingRetryableHTTPBothGetOverAShortOutage(t *testing.T) {
	bothRetries(t, []plytest.Reply{plytest.Status(503), plytest.Refuse(), plytest.Text("hello")},
		func(t *testing.T, hc *http.Client, origin *plytest.Origin, _ bool) {
			resp, err := send(t.Context(), t, hc, http.MethodGet, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "status", resp.StatusCode, 200)
			same(t, "requests", origin.Count(), 3)
		})
}

func TestMigratingRetryableHTTPTheLastResponseIsNoError(t *testing.T) {
	bothRetries(t, []plytest.Reply{plytest.Status(503)}, func(t *testing.T, hc *http.Client, origin *plytest.Origin, ours bool) {
		resp, err := send(t.Context(), t, hc, http.MethodGet, nil)
		same(t, "requests", origin.Count(), 5)
		same(t, "an error", err != nil, !ours)
		if ours {
			same(t, "status", resp.StatusCode, 503)
		} else if !strings.Contains(err.Error(), "giving up after 5 attempt(s)") {
			t.Error(err)
		}
	})
}

func TestMigratingRetryableHTTPPostsAreSentOnce(t *testing.T) {
	for name, c := range map[string]struct {
		reply        plytest.Reply
		theirs, ours int
	}{
		"500":                           {plytest.Status(500), 5, 1},
		"the connection broke":          {plytest.ResetConnection(), 5, 1},
		"the connection was refused":    {plytest.Refuse(), 5, 5},
		"429":                           {plytest.Status(429), 5, 5},
		"no such host":                  {plytest.NoSuchHost(), 5, 1},
		"a certificate does not verify": {plytest.BadCertificate(), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bothRetries(t, []plytest.Reply{c.reply}, func(t *testing.T, hc *http.Client, origin *plytest.Origin, ours bool) {
				_, _ = send(t.Context(), t, hc, http.MethodPost, strings.NewReader("order"))
				same(t, "requests", origin.Count(), choose(ours, c.ours, c.theirs))
			})
		})
	}
}

func TestMigratingRetryableHTTPStatuses(t *testing.T) {
	for status, c := range map[int]struct{ theirs, ours int }{
		408: {1, 5}, 425: {1, 5}, 429: {5, 5}, 500: {5, 5}, 501: {1, 1}, 502: {5, 5}, 503: {5, 5}, 504: {5, 5}, 507: {5, 1}, 521: {5, 1},
	} {
		bothRetries(t, []plytest.Reply{plytest.Status(status)}, func(t *testing.T, hc *http.Client, origin *plytest.Origin, ours bool) {
			_, _ = send(t.Context(), t, hc, http.MethodGet, nil)
			if got := origin.Count(); got != choose(ours, c.ours, c.theirs) {
				t.Errorf("%d: %d requests", status, got)
			}
		})
	}
}

func TestMigratingRetryableHTTPLongWaitsAreTheCallersChoice(t *testing.T) {
	bothRetries(t, []plytest.Reply{plytest.RetryIn(429, time.Hour), plytest.Text("hello")},
		func(t *testing.T, hc *http.Client, _ *plytest.Origin, ours bool) {
			start := time.Now()
			resp, err := send(t.Context(), t, hc, http.MethodGet, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "status", resp.StatusCode, choose(ours, 429, 200))
			same(t, "waited", time.Since(start).Truncate(time.Minute), choose(ours, 0, time.Hour))
		})
}

func TestMigratingRetryableHTTPNoWaitGoesPastTheDeadline(t *testing.T) {
	bothRetries(t, []plytest.Reply{plytest.RetryIn(503, 30*time.Second)}, func(t *testing.T, hc *http.Client, _ *plytest.Origin, ours bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := send(ctx, t, hc, http.MethodGet, nil)
		same(t, "waited", time.Since(start), choose(ours, 0, 10*time.Second))
		same(t, "a deadline", errors.Is(err, context.DeadlineExceeded), !ours)
	})
}

func TestMigratingRetryableHTTPBodiesOfReaders(t *testing.T) {
	stream := func() io.Reader { return io.MultiReader(strings.NewReader("hello")) } // http.NewRequest sets no GetBody
	bothRetries(t, []plytest.Reply{plytest.Status(503), plytest.Status(200)}, func(t *testing.T, hc *http.Client, origin *plytest.Origin, ours bool) {
		_, _ = send(t.Context(), t, hc, http.MethodPut, stream())
		same(t, "requests", origin.Count(), choose(ours, 1, 2))
	})
}

func TestMigratingRetryableHTTPAnOutageGetsLess(t *testing.T) {
	bothRetries(t, []plytest.Reply{plytest.Status(503)}, func(t *testing.T, hc *http.Client, origin *plytest.Origin, ours bool) {
		for range 100 {
			_, _ = send(t.Context(), t, hc, http.MethodGet, nil)
		}
		if got := origin.Count(); ours && got > 150 || !ours && got != 500 {
			t.Errorf("100 calls made %d requests", got)
		}
	})
}

func TestMigratingRetryableHTTPOptionsLikeItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(500))
		start := time.Now()
		_, _ = send(t.Context(), t, likeRetryableHTTP(origin), http.MethodPost, io.MultiReader(strings.NewReader("order")))
		same(t, "requests", origin.Count(), 5)
		same(t, "waited", time.Since(start), 15*time.Second)
	})
}

func retryableOver(hc *http.Client) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.HTTPClient = hc
	client.RetryMax = 0 // hc retries
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return client
}

func TestMigratingRetryableHTTPOneOfTheTwoRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(503))
		client := retryableOver(clientWithRetry(origin))
		client.Logger = nil
		resp, err := client.Get("http://origin.test/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		same(t, "status", resp.StatusCode, 503)
		same(t, "requests", origin.Count(), 5)
	})
}
