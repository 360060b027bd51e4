package ecosystem

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/h2non/gock"
	"github.com/jarcoal/httpmock"
	"gopkg.in/dnaeon/go-vcr.v4/pkg/recorder"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// go-vcr stands at the end of a chain: it records once what the origin said, replays it afterwards, and hits of the cache never reach it.
func TestGoVCR(t *testing.T) {
	origin := serve(t, fresh("recorded"))
	cassette := filepath.Join(t.TempDir(), "users")
	for range 2 {
		tape, err := recorder.New(cassette, recorder.WithSkipRequestLatency(true))
		if err != nil {
			t.Fatal(err)
		}
		client := newClient(t, ply.Options{BaseURL: origin.URL, Transport: tape, Use: []ply.Middleware{newCache(t, cache.Options{}).Middleware, eager(2)}})
		for range 3 {
			resp, err := client.Get(t.Context(), "/users")
			same(t, "body", textOf(t, resp, err), "recorded")
		}
		if err := tape.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	origin.saw(t, 1)
	b, err := os.ReadFile(cassette + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "recorded exchanges", strings.Count(string(b), "status: 200 OK"), 1)
}

func mockedClient(mock *httpmock.MockTransport, c *cache.Cache) (*ply.Client, error) {
	return ply.New(ply.Options{
		BaseURL:   "https://api.test",
		Transport: mock,
		Use:       []ply.Middleware{c.Middleware, retry.New(retry.Options{})},
	})
}

// httpmock's transport is a transport like any other. httpmock.Activate replaces http.DefaultTransport alone,
// so a client with a transport of its own, as ply.New makes it, goes past it.
func TestHttpmock(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder(http.MethodGet, "https://api.test/users/7", httpmock.NewStringResponder(200, `{"name":"Ada"}`).HeaderSet(http.Header{"Cache-Control": {"max-age=60"}}))
	client, err := mockedClient(mock, newCache(t, cache.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	type user struct{ Name string }
	for range 3 {
		got, err := ply.JSON[user](client.Get(t.Context(), "/users/7"))
		if err != nil || got.Name != "Ada" {
			t.Errorf("%+v (%v)", got, err)
		}
	}
	same(t, "calls of the mock", mock.GetTotalCallCount(), 1)
	if err := ply.Discard(client.Get(t.Context(), "/unknown")); err == nil {
		t.Error("no error for what the mock does not know")
	}

	httpmock.Activate(t)
	httpmock.RegisterResponder(http.MethodGet, "http://127.0.0.1:1/", httpmock.NewStringResponder(200, "mocked"))
	own := newClient(t, ply.Options{})
	if err := ply.Discard(own.Get(t.Context(), "http://127.0.0.1:1/")); err == nil {
		t.Error("httpmock.Activate has reached a client with a transport of its own")
	}
	onDefault := newClient(t, ply.Options{Transport: http.DefaultTransport})
	resp, err := onDefault.Get(t.Context(), "http://127.0.0.1:1/")
	same(t, "through http.DefaultTransport", textOf(t, resp, err), "mocked")
}

// gock's transport likewise.
func TestGock(t *testing.T) {
	defer gock.OffAll()
	gock.New("https://api.test").Get("/users/7").Times(1).Reply(200).SetHeader("Cache-Control", "max-age=60").BodyString("Ada")
	client := newClient(t, ply.Options{BaseURL: "https://api.test", Transport: gock.NewTransport(), Use: []ply.Middleware{newCache(t, cache.Options{}).Middleware, eager(2)}})
	for range 3 {
		resp, err := client.Get(t.Context(), "/users/7")
		same(t, "body", textOf(t, resp, err), "Ada")
	}
	if !gock.IsDone() {
		t.Error("the mock was not asked")
	}
}
