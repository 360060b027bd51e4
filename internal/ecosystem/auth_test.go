package ecosystem

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// who answers with the token of the request, for a minute.
func who(w http.ResponseWriter, r *http.Request) { fresh(r.Header.Get("Authorization"))(w, r) }

type userKey struct{}

// perUser takes the token from the context, as programs do that serve several people with one client.
func perUser(next http.RoundTripper) http.RoundTripper {
	return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		user, _ := r.Context().Value(userKey{}).(string)
		t := &oauth2.Transport{Base: next, Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: user})}
		return t.RoundTrip(r)
	})
}

// Above the cache, oauth2.Transport settles who asks before the key is made: each user has hits of his own.
func TestOauth2AboveTheCache(t *testing.T) {
	origin := serve(t, who)
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{perUser, newCache(t, cache.Options{}).Middleware}})
	for range 3 {
		for _, user := range []string{"alice", "bob"} {
			resp, err := client.Get(context.WithValue(t.Context(), userKey{}, user), "/me")
			same(t, "answer", textOf(t, resp, err), "Bearer "+user)
		}
	}
	origin.saw(t, 2)
}

// Below the cache, oauth2.Transport is still safe, for any number of users at once; it costs the hits.
func TestOauth2BelowTheCache(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared=%v", shared), func(t *testing.T) {
			origin := serve(t, who)
			client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{newCache(t, cache.Options{Shared: shared}).Middleware, eager(2), perUser}})
			var callers sync.WaitGroup
			for i := range 60 {
				callers.Go(func() {
					user := fmt.Sprint("user", i%3)
					got, err := ply.Text(client.Get(context.WithValue(t.Context(), userKey{}, user), "/me"))
					if err != nil || got != "Bearer "+user {
						t.Errorf("%s got %q (%v)", user, got, err)
					}
				})
			}
			callers.Wait()
		})
	}
}

// A token source that fetches its tokens through a ply client (oauth2.HTTPClient) gets a token that is never cached, and once for all who wait.
func TestOauth2FetchesTokensThroughPly(t *testing.T) {
	tokens := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.FormValue("grant_type") != "client_credentials" {
			http.Error(w, "bad grant", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=3600")
		json.NewEncoder(w).Encode(map[string]any{"access_token": "t1", "token_type": "Bearer", "expires_in": 3600})
	})
	origin := serve(t, who)
	apiCache := newCache(t, cache.Options{})
	inner := newClient(t, ply.Options{Use: []ply.Middleware{apiCache.Middleware, eager(3)}})
	config := clientcredentials.Config{ClientID: "id", ClientSecret: "secret", TokenURL: tokens.URL}
	source := config.TokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, inner.HTTPClient()))
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{
		func(next http.RoundTripper) http.RoundTripper { return &oauth2.Transport{Base: next, Source: source} },
		apiCache.Middleware, eager(3),
	}})
	for range 3 {
		resp, err := client.Get(t.Context(), "/me")
		same(t, "answer", textOf(t, resp, err), "Bearer t1")
	}
	tokens.saw(t, 1)
	origin.saw(t, 1)
}

// A rejected POST whose token source fails never leaves, and its body is closed.
func TestOauth2WithoutAToken(t *testing.T) {
	origin := serve(t, who)
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{eager(3), func(next http.RoundTripper) http.RoundTripper {
		return &oauth2.Transport{Base: next, Source: failingSource{}}
	}}})
	body := &closeSpy{Reader: http.NoBody}
	if err := ply.Discard(client.Post(t.Context(), "/", ply.BodyReader(body), ply.Timeout(10*time.Second))); err == nil {
		t.Error("no error without a token")
	}
	origin.saw(t, 0)
	if body.closed == 0 {
		t.Error("the body was not closed")
	}
}

type failingSource struct{}

func (failingSource) Token() (*oauth2.Token, error) { return nil, errBroken }

type closeSpy struct {
	io.Reader
	closed int
}

func (c *closeSpy) Close() error { c.closed++; return nil }
