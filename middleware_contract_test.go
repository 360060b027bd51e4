package ply_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// Each handler gets new layers: the state of a cache belongs to the synctest bubble of one rule.

func cacheLayer(next http.RoundTripper) http.RoundTripper {
	c, err := cache.New(cache.Options{})
	if err != nil {
		panic(err)
	}
	return c.Middleware(next)
}

func retryLayer(next http.RoundTripper) http.RoundTripper { return retry.New(retry.Options{})(next) }

func loggingLayer(next http.RoundTripper) http.RoundTripper {
	return logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))})(next)
}

func authLayer(next http.RoundTripper) http.RoundTripper {
	return auth.New(auth.Options{Source: auth.APIKey("me", "k"), Origins: []string{"https://layer.test"}})(next)
}

func signLayer(next http.RoundTripper) http.RoundTripper {
	signer := auth.SignerFunc(func(r *http.Request) error {
		r.Header.Set("X-Signature", "s")
		return nil
	})
	return auth.Sign(auth.SignOptions{Signer: signer, Principal: "me", Origins: []string{"https://layer.test"}})(next)
}

// TestLayersKeepTheContract holds every layer of ply to the contract of http.RoundTripper, each alone and all of them stacked.
func TestLayersKeepTheContract(t *testing.T) {
	always := func(*http.Request) bool { return true }
	stack := ply.Chain(loggingLayer, authLayer, cacheLayer, retryLayer, signLayer, ply.Named("attempts", loggingLayer))
	for name, layer := range map[string]ply.Middleware{
		"empty chain":      ply.Chain(),
		"plain layer":      ply.Chain(plain, made()),
		"named":            ply.Named("x", plain),
		"conditional":      ply.When(always, plain),
		"logging":          loggingLayer,
		"cache":            cacheLayer,
		"retry":            retryLayer,
		"auth":             authLayer,
		"sign":             signLayer,
		"all of them":      stack,
		"third parties in": ply.Chain(plain, stack, ply.When(always, ply.Named("x", made()))),
	} {
		t.Run(name, func(t *testing.T) { plytest.CheckMiddleware(t, layer) })
	}
}

// TestClientKeepsTheContract holds the client, which is a Handler itself, to the same contract.
func TestClientKeepsTheContract(t *testing.T) {
	client := func(o ply.Options) ply.Middleware {
		return func(next ply.Handler) ply.Handler {
			o := o
			o.Transport = next
			c, err := ply.New(o)
			if err != nil {
				panic(err)
			}
			return c
		}
	}
	ownTransport := plytest.Except(plytest.NilNext, "a client without a transport has one of its own")
	for name, layer := range map[string]ply.Middleware{
		"bare": client(ply.Options{}),
		"with all of it": client(ply.Options{
			Header:   http.Header{"X-A": {"1"}},
			Timeouts: ply.Timeouts{Total: 1e13, Connect: 1e13, ResponseHeader: 1e13, IdleRead: 1e13},
			Defaults: []ply.RequestOption{ply.DownloadProgress(func(int64, int64) {}), ply.Query("v", "1")},
			Use:      []ply.Middleware{loggingLayer, cacheLayer, retryLayer},
			UseCall:  []ply.Middleware{plain},
		}),
	} {
		t.Run(name, func(t *testing.T) { plytest.CheckMiddleware(t, layer, ownTransport) })
	}
}

// TestHopsOfACallShareItsAttempts: even if a cache is between redirects and retry.
func TestHopsOfACallShareItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		transport := ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			sent++
			if r.URL.Path == "/old" && sent == 2 {
				return reply(r, http.StatusFound, http.Header{"Location": {"/new"}}, ""), nil
			}
			return reply(r, http.StatusServiceUnavailable, nil, ""), nil
		})
		c := newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{cacheLayer, retryLayer}})
		resp := get(t, c, "http://a.test/old")
		// The first hop takes two of three attempts, so the second hop is sent and has one retry left.
		if resp.StatusCode != http.StatusServiceUnavailable || sent != 4 {
			t.Errorf("status %d after %d requests, want 503 after 4", resp.StatusCode, sent)
		}
	})
}
