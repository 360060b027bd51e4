package ecosystem

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"github.com/Khan/genqlient/graphql"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/google/go-github/v89/github"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// fromCache marks responses that did not count against go-github's rate limit, and whose numbers are old.
func fromCache(next http.RoundTripper) http.RoundTripper {
	return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if s, ok := cache.StatusOf(resp); ok && s.Hit {
			resp.Header.Set("X-From-Cache", "1")
		}
		return resp, err
	})
}

func githubClient(c *cache.Cache, token string) (*github.Client, error) {
	client, err := ply.New(ply.Options{Use: []ply.Middleware{fromCache, c.Middleware, retry.New(retry.Options{})}})
	if err != nil {
		return nil, err
	}
	return github.NewClient(github.WithHTTPClient(client.HTTPClient()), github.WithAuthToken(token))
}

// go-github: answers are revalidated with their ETag, which costs nothing of the rate limit; hits leave the rate state alone;
// and a method that wants to see the redirect itself does.
func TestGoGithub(t *testing.T) {
	remaining := 100
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ratelimit-Limit", "100")
		w.Header().Set("X-Ratelimit-Reset", "4102444800")
		if strings.HasSuffix(r.URL.Path, "/tarball/main") {
			w.Header().Set("Location", "https://codeload.example/x.tar.gz")
			w.WriteHeader(http.StatusFound)
			return
		}
		w.Header().Set("Cache-Control", "private, max-age=60")
		w.Header().Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") != `"v1"` {
			remaining--
		}
		w.Header().Set("X-Ratelimit-Remaining", fmt.Sprint(remaining))
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"login":%q}`, r.URL.Path)
	})
	gh, err := githubClient(newCache(t, cache.Options{}), "t0k3n")
	if err != nil {
		t.Fatal(err)
	}
	gh, err = gh.Clone(github.WithEnterpriseURLs(origin.URL, origin.URL))
	if err != nil {
		t.Fatal(err)
	}
	for i, ctx := range []context.Context{t.Context(), t.Context(), cache.WithMode(t.Context(), cache.ModeNoCache)} {
		user, resp, err := gh.Users.Get(ctx, "ada")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "login", strings.HasSuffix(user.GetLogin(), "/users/ada"), true)
		same(t, "remaining", resp.Rate.Remaining, 99)
		same(t, "from the store", resp.Header.Get("X-From-Cache") != "", i == 1)
	}
	origin.saw(t, 2)
	link, _, err := gh.Repositories.GetArchiveLink(t.Context(), "ada", "engine", github.Tarball, &github.RepositoryContentGetOptions{Ref: "main"}, 0)
	if err != nil || link == nil || link.Host != "codeload.example" {
		t.Errorf("the archive is at %v (%v)", link, err)
	}
}

func cacheForS3() (*cache.Cache, error) {
	return cache.New(cache.Options{
		Key: keying.New(keying.URL(keying.URLOptions{Ignore: []string{"x-id"}})),
	})
}

// The AWS SDK signs each request anew. The cache keeps what it may under the key id and does not fill up with signatures.
// The SDK names the operation in the query, so that reading and writing an object are two URLs: a key without that name makes them one,
// and a write ends what was read.
func TestS3(t *testing.T) {
	fake := gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(true))
	handler := fake.Server()
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		handler.ServeHTTP(w, r)
	})
	apiCache, err := cacheForS3()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { apiCache.Close() })
	client := newClient(t, ply.Options{Use: []ply.Middleware{apiCache.Middleware}})
	store := s3.New(s3.Options{
		BaseEndpoint: aws.String(origin.URL), Region: "eu-central-1", UsePathStyle: true, HTTPClient: client.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
	put := func(content string) {
		t.Helper()
		if _, err := store.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader(content)}); err != nil {
			t.Fatal(err)
		}
	}
	get := func() string {
		t.Helper()
		out, err := store.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		b, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	put("one")
	for range 20 {
		same(t, "content", get(), "one")
	}
	put("two")
	same(t, "content after a write", get(), "two")
	if n := apiCache.Stats().Entries; n > 1 {
		t.Errorf("%d entries for one object: one for each signature", n)
	}
}

// elastic-transport retries by itself. With its retries off and ply's on, a failing node is asked as often as ply says.
func TestElasticsearch(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		if strings.HasPrefix(r.URL.Path, "/down/") {
			http.Error(w, `{}`, http.StatusServiceUnavailable)
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"hits":{"total":{"value":1}}}`)
	})
	node, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	chain := ply.Chain(newCache(t, cache.Options{}).Middleware, retry.New(retry.Options{MaxAttempts: 3, Budget: retry.Unlimited, Backoff: retry.Constant(1)}))
	es, err := elastictransport.NewClient(elastictransport.WithURLs(node), elastictransport.WithTransport(chain(nil)), elastictransport.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resp, err := esapi.SearchRequest{Index: []string{"books"}, Body: strings.NewReader(`{"query":{"match_all":{}}}`)}.Do(t.Context(), es)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !json.Valid(b) || resp.IsError() {
			t.Errorf("%s %s", resp.Status(), b)
		}
	}
	origin.saw(t, 2) // a POST: asked each time
	resp, err := esapi.GetRequest{Index: "down", DocumentID: "1"}.Do(t.Context(), es)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	same(t, "status", resp.StatusCode, 503)
	origin.saw(t, 3)
}

// connect: a side-effect free call as GET is cached, a POST is not, and the messages of a stream arrive one by one.
func TestConnect(t *testing.T) {
	var calls atomic.Int64
	next := make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/api/Get", connect.NewUnaryHandler("/api/Get", func(_ context.Context, r *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
		calls.Add(1)
		resp := connect.NewResponse(wrapperspb.String("hello " + r.Msg.Value))
		resp.Header().Set("Cache-Control", "max-age=60")
		return resp, nil
	}, connect.WithIdempotency(connect.IdempotencyNoSideEffects)))
	mux.Handle("/api/Watch", connect.NewServerStreamHandler("/api/Watch", func(ctx context.Context, _ *connect.Request[wrapperspb.StringValue], s *connect.ServerStream[wrapperspb.StringValue]) error {
		for i := range 3 {
			if err := s.Send(wrapperspb.String(fmt.Sprint("event ", i))); err != nil {
				return err
			}
			select {
			case <-next: // the client has the message
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}))
	origin := httptest.NewServer(mux)
	defer origin.Close()
	client := newClient(t, ply.Options{Use: []ply.Middleware{newCache(t, cache.Options{}).Middleware, eager(2)}})

	unary := func(o ...connect.ClientOption) *connect.Client[wrapperspb.StringValue, wrapperspb.StringValue] {
		return connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](client.HTTPClient(), origin.URL+"/api/Get",
			append(o, connect.WithIdempotency(connect.IdempotencyNoSideEffects))...)
	}
	for _, c := range []struct {
		client *connect.Client[wrapperspb.StringValue, wrapperspb.StringValue]
		calls  int64
	}{{unary(connect.WithHTTPGet()), 1}, {unary(), 3}} {
		for range 3 {
			resp, err := c.client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("Ada")))
			if err != nil {
				t.Fatal(err)
			}
			same(t, "answer", resp.Msg.Value, "hello Ada")
		}
		same(t, "calls", calls.Swap(0), c.calls)
	}
	stream, err := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](client.HTTPClient(), origin.URL+"/api/Watch").
		CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("")))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for i := range 3 {
		if !stream.Receive() {
			t.Fatalf("the stream ended before event %d: %v", i, stream.Err())
		}
		same(t, "event", stream.Msg().Value, fmt.Sprint("event ", i))
		next <- struct{}{}
	}
}

// genqlient posts its operations. Keyed by their content queries are answered from the store, mutations never.
func TestGenqlient(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"data":{"size":%d}}`, len(bytes.TrimSpace(b)))
	})
	apiCache := newCache(t, cache.Options{
		Methods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		Key:     keying.New(keying.URL(keying.URLOptions{}), keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL})),
	})
	client := newClient(t, ply.Options{Use: []ply.Middleware{apiCache.Middleware}})
	api := graphql.NewClient(origin.URL, client.HTTPClient())
	run := func(query string) {
		t.Helper()
		var data struct{ Size int }
		if err := api.MakeRequest(t.Context(), &graphql.Request{Query: query, OpName: "Op"}, &graphql.Response{Data: &data}); err != nil {
			t.Fatal(err)
		}
		if data.Size == 0 {
			t.Error("no data")
		}
	}
	for range 3 {
		run(`query Op { size }`)
	}
	origin.saw(t, 1)
	for range 3 {
		run(`mutation Op { grow { size } }`)
	}
	origin.saw(t, 3)
}
