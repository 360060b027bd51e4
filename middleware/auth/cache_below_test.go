package auth_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

type personKey struct{}

func person(ctx context.Context) string {
	name, _ := ctx.Value(personKey{}).(string)
	return name
}

// What a layer adds below a cache for one person never reaches another, though nothing in its name says that it is a credential.
func TestCredentialsBelowWithNamesOfTheirOwnNeverCross(t *testing.T) {
	origins := []string{api}
	token := func(o auth.Options) func(http.RoundTripper) http.RoundTripper {
		o.Origins = origins
		o.Account = func(r *http.Request) (string, error) { return person(r.Context()), nil }
		o.Source = auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
			return auth.Token{Value: auth.AccountFromContext(ctx)}, nil
		})
		return auth.New(o)
	}
	sign := func(f func(*http.Request)) func(http.RoundTripper) http.RoundTripper {
		return auth.Sign(auth.SignOptions{Origins: origins, Signer: auth.SignerFunc(func(r *http.Request) error {
			f(r)
			return nil
		})})
	}
	for name, layer := range map[string]func(http.RoundTripper) http.RoundTripper{
		"a token in Authorization": token(auth.Options{}),
		"a token in a field":       token(auth.Options{Field: "X-Acme"}),
		"a token in a query":       token(auth.Options{Query: "acme"}),
		"a signature in a field":   sign(func(r *http.Request) { r.Header.Set("X-Acme", person(r.Context())) }),
		"a signature in a query":   sign(func(r *http.Request) { r.URL.RawQuery = "acme=" + person(r.Context()) }),
	} {
		for kind, shared := range map[string]bool{"private": false, "shared": true} {
			t.Run(name+", "+kind, func(t *testing.T) {
				origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, r.Header.Get("Authorization")+r.Header.Get("X-Acme")+r.URL.RawQuery)
				}))
				c := newCache(t, cache.Options{Shared: shared})
				for chain, rt := range map[string]http.RoundTripper{
					"seen":   c.Middleware(layer(origin)),
					"hidden": c.Middleware(roundTripper(layer(origin).RoundTrip)),
				} {
					for _, name := range []string{"alice", "bob"} {
						resp, err := rt.RoundTrip(newRequest(t, context.WithValue(t.Context(), personKey{}, name), "GET", api+"/"+chain, ""))
						require.NoError(t, err)
						body, err := io.ReadAll(resp.Body)
						require.NoError(t, err)
						resp.Body.Close()
						require.Contains(t, string(body), name, chain)
					}
				}
			})
		}
	}
}

// A signer that adds nothing, as Digest before its first challenge, leaves what can be stored as it was.
func TestSignerThatAddsNothingLeavesTheCacheAlone(t *testing.T) {
	origin := numbered("Cache-Control", "max-age=60")
	c := newCache(t, cache.Options{})
	idle := auth.Sign(auth.SignOptions{Origins: []string{api}, Signer: auth.SignerFunc(func(*http.Request) error { return nil })})
	for range 2 {
		_, body := get(t, c.Middleware(idle(origin)), api)
		require.Equal(t, "1", body)
	}
}
