package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
)

// The page says of each layer what it did for a call, in a sentence.
func TestInspectorSaysWhatEachLayerDid(t *testing.T) {
	origin := startOrigin()
	defer origin.Close()
	c, err := cache.New(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := inspect.New(inspect.Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	client, err := ply.New(ply.Options{BaseURL: origin.URL, Use: append([]ply.Middleware{
		in.Middleware, auth.New(auth.Options{Source: auth.SourceFunc(newToken), Origins: []string{origin.URL}}), decode.New(decode.Options{}), c.Middleware,
	}, resilience.Standard(resilience.Options{
		Retry: retry.Options{Backoff: retry.Constant(10 * time.Millisecond)}, Hedge: hedge.Options{Delay: 450 * time.Millisecond},
		Breaker: breaker.Options{MinRequests: 6, FailureRate: 0.5}, Limit: limit.Options{Rate: 5, Burst: 1, InFlight: 10},
	})...)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // no layer has a timeout
	defer cancel()
	for _, path := range tour {
		_ = ply.Discard(client.Get(ctx, path)) // the page shows what became of it
	}
	var said []string
	for id := range tour {
		said = append(said, whyOf(t, in, id+1)...)
	}
	for _, want := range []string{
		"auth: The request got its credentials.",
		"cache: Nothing was stored for the URI.", "cache: The stored response is fresh.",
		"cache: The exchange failed, and the response's stale-if-error allows the stored one in its place.",
		"retry: 2 attempts were made.", "hedge: A copy of the request was answered first",
		"breaker: The circuit breaker is open for ", "limit: The request waited for its turn",
	} {
		if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("no %q in\n%s", want, strings.Join(said, "\n"))
		}
	}
	if all := strings.Join(said, ""); strings.Contains(all, "secret-token") {
		t.Errorf("a secret in %s", all)
	}
}

// whyOf returns the reasons for a call, with their layers.
func whyOf(t *testing.T, in *inspect.Inspector, id int) (said []string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://localhost/calls/%d", id), nil)
	r.RemoteAddr = "127.0.0.1:50000"
	w := httptest.NewRecorder()
	in.ServeHTTP(w, r)
	var call struct {
		Why []struct{ Layer, Text string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &call); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	for _, reason := range call.Why {
		said = append(said, reason.Layer+": "+reason.Text)
	}
	return said
}
