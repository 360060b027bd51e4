package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func ExampleNew() {
	issued := 0
	source := auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
		issued++ // ask the token server here
		return auth.Token{Value: fmt.Sprint("token-", issued), Expires: time.Now().Add(time.Hour), Principal: "billing"}, nil
	})
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token-1" { // it was revoked
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "hello, ", r.Header.Get("Authorization"))
	}))
	client := &http.Client{Transport: auth.New(auth.Options{Source: source, Origins: []string{"https://api.example.com"}})(origin)}

	fmt.Println(ply.Text(client.Get("https://api.example.com/invoices")))
	// Output: hello, Bearer token-2 <nil>
}

// The layers in their order. A cache keeps the answers of principals apart, and a new token finds those of the old one.
func ExampleNew_chain() {
	store, _ := cache.New(cache.Options{})
	client, err := ply.New(ply.Options{
		BaseURL: "https://api.example.com",
		Use: []ply.Middleware{
			auth.New(auth.Options{Source: auth.Static(auth.Token{Value: "t", Principal: "billing"}), Origins: []string{"https://api.example.com"}}),
			store.Middleware,
			retry.New(retry.Options{}),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, layer := range ply.Layers(client) {
		fmt.Println(layer)
	}
	// Output:
	// redirects and cookies
	// auth
	// cache
	// retry
	// *http.Transport
}

func ExampleAPIKey() {
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Api-Key"))
	}))
	layer := auth.New(auth.Options{Source: auth.APIKey("weather-app", "k-123"), Field: "X-Api-Key", Origins: []string{"https://api.example.com"}})
	client := &http.Client{Transport: layer(origin)}

	fmt.Println(ply.Text(client.Get("https://api.example.com/today")))
	// Output: k-123 <nil>
}

// A program that acts for several people: each has a token, and answers, of his own.
func ExampleOptions_account() {
	type userKey struct{}
	layer := auth.New(auth.Options{
		Origins: []string{"https://api.example.com"},
		Account: func(r *http.Request) (string, error) { return r.Context().Value(userKey{}).(string), nil },
		Source: auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
			return auth.Token{Value: "token of " + auth.AccountFromContext(ctx)}, nil
		}),
	})
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}))
	client := &http.Client{Transport: layer(origin)}

	for _, user := range []string{"alice", "bob"} {
		ctx := context.WithValue(context.Background(), userKey{}, user)
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/me", nil)
		fmt.Println(ply.Text(client.Do(r)))
	}
	// Output:
	// Bearer token of alice <nil>
	// Bearer token of bob <nil>
}

func ExampleSign() {
	attempt := 0
	signer := auth.SignerFunc(func(r *http.Request) error {
		attempt++
		r.Header.Set("X-Signature", fmt.Sprintf("%s %s, attempt %d", r.Method, r.URL.Path, attempt))
		return nil
	})
	sign := auth.Sign(auth.SignOptions{Signer: signer, Principal: "billing", Origins: []string{"https://api.example.com"}})
	origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("done"))
	client := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(0)})(sign(origin))}

	fmt.Println(ply.Text(client.Get("https://api.example.com/invoices")))
	for _, x := range origin.Exchanges() {
		fmt.Println(x.Header.Get("X-Signature"))
	}
	// Output:
	// done <nil>
	// GET /invoices, attempt 1
	// GET /invoices, attempt 2
}

func ExampleWithInfo() {
	layer := auth.New(auth.Options{Source: auth.APIKey("me", "k"), Origins: []string{"https://api.example.com"}})
	client := &http.Client{Transport: layer(plytest.NewOrigin())}

	ctx, info := auth.WithInfo(context.Background())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://cdn.example.com/logo.png", nil)
	if err := ply.Discard(client.Do(r)); err != nil {
		fmt.Println(err)
	}
	i, _ := info()
	fmt.Println(i.Status, "because of", i.Reason)
	// Output: skipped because of another origin
}
