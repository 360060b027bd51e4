// Keying chooses which requests share a stored response: GraphQL queries over POST, users of one tenant, links with tracking parameters.
//
//	go run ./examples/keying
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "keying:", err)
		os.Exit(1)
	}
}

// graphQL has the query and its variables in the key, compared by meaning: spaces, commas and the order of members make no difference.
// A mutation has no key, so it is never answered from the store, and what is stored for the endpoint is invalidated if it succeeds.
var graphQL = cache.Options{
	Methods:    []string{http.MethodGet, http.MethodHead, http.MethodPost},
	Key:        keying.New(keying.Method(), keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})),
	FilterBody: cache.NoGraphQLErrors, // an error comes with the status 200: do not store it
}

// perTenant has users of one tenant share, whatever their tokens are. Only do so if the server answers all of them alike.
var perTenant = cache.Options{
	Key: keying.New(keying.Principal(tenant)),
}

type tenantKey struct{}

// tenant is who asks. The program, which has verified it, puts it into the context; a request without one is not cached.
func tenant(r *http.Request) (string, error) {
	name, ok := r.Context().Value(tenantKey{}).(string)
	if !ok {
		return "", fmt.Errorf("the request has no tenant") // shown in Cache-Status: no secrets
	}
	return name, nil
}

// withoutTracking ignores parameters that say how a visitor came, and the order of the others.
var withoutTracking = cache.Options{
	Key: keying.New(keying.URL(keying.URLOptions{
		Ignore: []string{"utm_source", "utm_medium", "utm_campaign", "gclid", "fbclid"},
		Sort:   true,
	})),
}

func run(ctx context.Context, out io.Writer) error {
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()

	query := func(text string) ply.RequestOption { return ply.BodyJSON(map[string]any{"query": text}) }
	err := try(ctx, out, "GraphQL over POST", server.URL, graphQL, []call{
		{"{ book(id: 7) { title } }", func(ctx context.Context, c *ply.Client) (*http.Response, error) {
			return c.Post(ctx, "/graphql", query("{ book(id: 7) { title } }"))
		}},
		{"the same with other spaces", func(ctx context.Context, c *ply.Client) (*http.Response, error) {
			return c.Post(ctx, "/graphql", query("{\n  book(id: 7) {\n    title\n  }\n}"))
		}},
		{"{ book(id: 8) { title } }", func(ctx context.Context, c *ply.Client) (*http.Response, error) {
			return c.Post(ctx, "/graphql", query("{ book(id: 8) { title } }"))
		}},
		{"mutation { rename(id: 7) }", func(ctx context.Context, c *ply.Client) (*http.Response, error) {
			return c.Post(ctx, "/graphql", query("mutation { rename(id: 7) }"))
		}},
		{"{ book(id: 7) { title } } after it", func(ctx context.Context, c *ply.Client) (*http.Response, error) {
			return c.Post(ctx, "/graphql", query("{ book(id: 7) { title } }"))
		}},
	})
	if err != nil {
		return err
	}

	as := func(tenant, token string) func(context.Context, *ply.Client) (*http.Response, error) {
		return func(ctx context.Context, c *ply.Client) (*http.Response, error) {
			if tenant != "" {
				ctx = context.WithValue(ctx, tenantKey{}, tenant)
			}
			return c.Get(ctx, "/prices", ply.Bearer(token))
		}
	}
	err = try(ctx, out, "per tenant", server.URL, perTenant, []call{
		{"ada of acme", as("acme", "token-of-ada")},
		{"bob of acme", as("acme", "token-of-bob")},
		{"eve of umbrella", as("umbrella", "token-of-eve")},
		{"a request without a tenant", as("", "token-of-ada")},
	})
	if err != nil {
		return err
	}

	get := func(url string) call {
		return call{url, func(ctx context.Context, c *ply.Client) (*http.Response, error) { return c.Get(ctx, url) }}
	}
	return try(ctx, out, "without tracking parameters", server.URL, withoutTracking, []call{
		get("/shoes?size=42&color=red"), get("/shoes?color=red&size=42&utm_source=mail&gclid=x1"), get("/shoes?size=43&color=red"),
	})
}

// A call is a request, and what to call it.
type call struct {
	name string
	do   func(context.Context, *ply.Client) (*http.Response, error)
}

// try makes calls through a client with a cache of its own, and prints what the cache made of each.
func try(ctx context.Context, out io.Writer, title, base string, o cache.Options, calls []call) error {
	c, err := cache.New(o)
	if err != nil {
		return err
	}
	defer c.Close()
	client, err := ply.New(ply.Options{BaseURL: base, Use: []ply.Middleware{c.Middleware}})
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Fprintln(out, title)
	for _, call := range calls {
		resp, err := call.do(ctx, client)
		if err != nil {
			return err
		}
		status, _ := cache.StatusOf(resp)
		if err := ply.Discard(resp, nil); err != nil {
			return err
		}
		said := status.Outcome()
		if !status.Hit && status.Detail != "" {
			said += ": " + status.Detail
		}
		fmt.Fprintf(out, "  %-50s  %s\n", call.name, said)
	}
	return nil
}

func serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintln(w, `{"data": {"book": {"title": "The Go Programming Language"}}}`)
}
