package inspect_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func redirecting() *plytest.Origin {
	return &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/old": {plytest.Status(http.StatusFound, "Location", "/new")},
		"/new": {plytest.Text("hello", "Cache-Control", "max-age=60")},
	}}
}

// Wherever the layer stands, a call is one row with its hops, and its exchanges are known where the transport can report them.
func TestLayerWorksWhereverItStands(t *testing.T) {
	for name, tt := range map[string]struct {
		make       func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error)
		hops       int // of the last call, with as many exchanges
		calls      int // for a redirected call
		incomplete bool
	}{
		"first in the chain of a client": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			return newClient(t, ply.Options{Transport: redirecting(), Use: []ply.Middleware{in.Middleware, c.Middleware}}).Do
		}, 2, 1, false},
		"among the call layers": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			return newClient(t, ply.Options{Transport: redirecting(), UseCall: []ply.Middleware{in.Middleware}, Use: []ply.Middleware{c.Middleware}}).Do
		}, 2, 1, false},
		"in an http.Client by Wrap": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			return ply.Wrap(&http.Client{Transport: redirecting()}, in.Middleware, c.Middleware).Do
		}, 2, 1, false},
		"in an http.Client by hand, next to the transport": {func(in *inspect.Inspector, _ *cache.Cache) func(*http.Request) (*http.Response, error) {
			return (&http.Client{Transport: in.Middleware(redirecting())}).Do
		}, 2, 1, false},
		"in an http.Client by hand, around a cache": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			return (&http.Client{Transport: in.Middleware(c.Middleware(redirecting()))}).Do
		}, 2, 1, true},
		"around calls that are recorded already": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			client := newClient(t, ply.Options{Transport: redirecting(), Use: []ply.Middleware{in.Middleware, c.Middleware}})
			return func(r *http.Request) (*http.Response, error) {
				return client.Do(r.WithContext(ply.WithCallInfo(r.Context())))
			}
		}, 2, 1, false},
		"twice": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			return newClient(t, ply.Options{Transport: redirecting(), Use: []ply.Middleware{in.Middleware, c.Middleware, in.Middleware}}).Do
		}, 2, 1, false},
		"for some requests only": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			some := ply.When(func(r *http.Request) bool { return r.URL.Path == "/new" }, in.Middleware)
			return newClient(t, ply.Options{Transport: redirecting(), Use: []ply.Middleware{some, c.Middleware}}).Do
		}, 1, 1, false},
		"below the cache": {func(in *inspect.Inspector, c *cache.Cache) func(*http.Request) (*http.Response, error) {
			return newClient(t, ply.Options{Transport: redirecting(), Use: []ply.Middleware{c.Middleware, in.Middleware}}).Do
		}, 1, 2, false}, // what passes from one hop to the next, the cache does not hand on
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := newInspector(t, inspect.Options{})
				do := tt.make(in, newCache(t, cache.Options{}))
				req, err := http.NewRequestWithContext(t.Context(), "GET", "http://a.test/old", nil)
				require.NoError(t, err)
				text, err := ply.Text(do(req))
				require.NoError(t, err)
				require.Equal(t, "hello", text)
				require.Len(t, calls(t, in), tt.calls)
				got := get[call](t, in, fmt.Sprintf("calls/%d", tt.calls))
				require.Equal(t, []any{tt.hops, 200, false, int64(5)}, []any{len(got.HopList), got.Status, got.Open, got.Size})
				last := got.HopList[len(got.HopList)-1]
				require.Equal(t, "hello", last.Response.Body.Text)
				require.Equal(t, tt.incomplete, got.Incomplete != "", got.Incomplete)
				if !tt.incomplete {
					require.Equal(t, tt.hops, got.Attempts)
				}
			})
		})
	}
}

// What a layer sends with the context of a request is a part of that call.
func TestRequestsThatALayerSendsBelongToItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		var client *ply.Client
		asksFirst := func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
				if req.URL.Path == "/" {
					if err := ply.Discard(client.Get(req.Context(), "/token")); err != nil {
						return nil, err
					}
				}
				return next.RoundTrip(req)
			})
		}
		client = newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a")), Use: []ply.Middleware{in.Middleware, asksFirst}})
		fetch(t, client, "/")
		require.Len(t, calls(t, in), 1)

		resp, err := client.Get(t.Context(), "/")
		require.NoError(t, err)
		discard(resp)
		require.NoError(t, ply.Discard(client.Get(resp.Request.Context(), "/next")))
		require.Len(t, calls(t, in), 3, "a call with the context of one that has ended is its own")
	})
}

func TestRefreshInTheBackgroundIsACallOfItsOwnBelowTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, cache.Options{})
		above, below := newInspector(t, inspect.Options{}), newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{
			BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a", "Cache-Control", "max-age=1, stale-while-revalidate=60")),
			Use: []ply.Middleware{above.Middleware, c.Middleware, below.Middleware},
		})
		fetch(t, client, "/")
		time.Sleep(2 * time.Second)
		fetch(t, client, "/")
		synctest.Wait()
		require.Len(t, calls(t, above), 2)
		require.Equal(t, []string{"direct", "direct"}, []string{calls(t, below)[0].Outcome, calls(t, below)[1].Outcome})
	})
}

// A body that is sent again is copied once, and an upgraded connection not at all.
func TestRequestBodyIsShownOnceHoweverOftenItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{
			BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Status(503), plytest.Status(503), plytest.Text("ok")),
			Use: []ply.Middleware{in.Middleware, retry.New(retry.Options{Backoff: retry.Constant(time.Second)})},
		})
		require.NoError(t, ply.Discard(client.Put(t.Context(), "/", ply.BodyString("hello"))))
		got := get[call](t, in, "calls/1")
		require.Equal(t, &body{Size: 5, Text: "hello", MediaType: "text/plain"}, got.HopList[0].Request.Body)
		require.Equal(t, int64(5), got.RequestSize)
	})
}

func TestUpgradedConnectionIsLeftAlone(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		buffered.Flush()
		io.Copy(conn, buffered)
	}))
	defer server.Close()
	client := newClient(t, ply.Options{Use: []ply.Middleware{in.Middleware}})
	resp, err := client.Get(t.Context(), server.URL, ply.SetHeader("Connection", "upgrade"), ply.SetHeader("Upgrade", "echo"))
	require.NoError(t, err)
	conn, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	defer conn.Close()
	fmt.Fprint(conn, "secret")
	text := make([]byte, 6)
	_, err = io.ReadFull(conn, text)
	require.NoError(t, err)
	require.Equal(t, "secret", string(text))
	got := get[call](t, in, "calls/1")
	require.Equal(t, []any{101, false, int64(0)}, []any{got.Status, got.Open, got.Size})
}

func TestBrokenBodyIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Reply{Body: "hello", Fault: plytest.ResetAfter(3)}), Use: []ply.Middleware{in.Middleware}})
		_, err := ply.Text(client.Get(t.Context(), "/"))
		require.Error(t, err)
		got := get[call](t, in, "calls/1")
		require.Equal(t, []any{"error", 200, int64(3), false}, []any{got.Outcome, got.Status, got.Size, got.Open})
		require.NotEmpty(t, got.HopList[0].Response.Body.Error)
	})
}

// dropBody makes a call and lets go of its response.
func dropBody(t *testing.T, client *ply.Client) {
	t.Helper()
	_, err := client.Get(t.Context(), "/")
	require.NoError(t, err)
}

func TestBodyThatIsNeverClosedIsFound(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	transport := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("hello")), ContentLength: 5, Request: req}, nil
	})
	client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: transport, Use: []ply.Middleware{in.Middleware}})
	dropBody(t, client)
	testutil.Eventually(t, "the body is found", func() bool {
		runtime.GC()
		return !calls(t, in)[0].Open
	})
	got := get[call](t, in, "calls/1")
	require.Equal(t, []string{"body not closed"}, got.Layers)
	require.Equal(t, "body", got.Why[0].Layer)
}

func TestTrailersAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Reply{Body: "hello", Trailer: http.Header{"Content-Md5": {"x"}}}), Use: []ply.Middleware{in.Middleware}})
		fetch(t, client, "/")
		require.Len(t, get[call](t, in, "calls/1").HopList[0].Response.Trailers, 1)
	})
}

// Calls, bodies, pages and removals at once: nothing races, and what is kept stays within its bounds.
func TestManyCallsAndPagesAtOnce(t *testing.T) {
	c := newCache(t, cache.Options{})
	in := newInspector(t, inspect.Options{Keep: 20, MaxBytes: 256 << 10, Cache: c})
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, strings.Repeat("x", 8<<10))
	}))
	client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: origin, Use: []ply.Middleware{in.Middleware, c.Middleware, retry.New(retry.Options{})}})
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for i := range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				resp, err := client.Post(ctx, fmt.Sprintf("/%d", (n*i)%7), ply.BodyString("hello"))
				if err != nil {
					cancel()
					continue
				}
				if i%3 == 0 {
					cancel()
				}
				io.CopyN(io.Discard, resp.Body, int64(i)*100)
				resp.Body.Close()
				cancel()
			}
		})
	}
	group.Go(func() {
		page := newPage(in)
		defer page()
		for range 50 {
			for _, target := range []string{"calls", "stats", "cache", "calls/5"} {
				ask(in, "GET", target, "")
			}
			ask(in, "POST", "har", "{}")
		}
		ask(in, "DELETE", "calls", "")
	})
	group.Wait()
	s := get[stats](t, in, "stats")
	require.LessOrEqual(t, s.Kept["calls"], int64(20))
	require.LessOrEqual(t, s.Kept["bytes"], int64(256<<10)+40<<10)
	ask(in, "DELETE", "calls", "")
	require.Zero(t, get[stats](t, in, "stats").Kept["bytes"], "what was charged is given back")
}

// newPage follows the inspector until the function that it returns is called.
func newPage(in http.Handler) (leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/events", nil)
	r.RemoteAddr = "127.0.0.1:5"
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in.ServeHTTP(httptest.NewRecorder(), r)
	}()
	return func() {
		cancel()
		<-ended
	}
}

func TestClosedInspectorPassesRequestsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a")), Use: []ply.Middleware{in.Middleware}})
		fetch(t, client, "/")
		require.NoError(t, in.Close())
		require.NoError(t, in.Close())
		fetch(t, client, "/")
		require.Empty(t, calls(t, in))
	})
}

func TestLayerIsSeenThrough(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	var names []string
	for _, l := range ply.Layers(in.Middleware(retry.New(retry.Options{})(&http.Transport{}))) {
		names = append(names, l.Name)
	}
	require.Equal(t, []string{"inspect", "retry", "*http.Transport"}, names)
}

// What the layer costs a program that has no page open: the record of the call, copies of two headers and of the body, and what keeps them.
func TestLayerAllocatesLittle(t *testing.T) {
	transport := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader("hello")), ContentLength: 5, Request: req}, nil
	})
	in := newInspector(t, inspect.Options{})
	cost := func(h http.RoundTripper) float64 {
		req, err := http.NewRequest("GET", "http://a.test/x", nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "text/plain")
		return testing.AllocsPerRun(1000, func() {
			resp, err := h.RoundTrip(req)
			if err != nil {
				panic(err)
			}
			discard(resp)
		})
	}
	plain, recorded, inspected := cost(transport), cost(ply.RecordCalls(transport)), cost(in.Middleware(transport))
	t.Logf("%.0f allocations without a layer, %.0f with the record alone, %.0f with the inspector", plain, recorded, inspected)
	if more := inspected - recorded; more > 20 {
		t.Errorf("the inspector allocates %.0f times beside the record of a call, more than 20", more)
	}
	if inspected-plain > 55 {
		t.Errorf("the inspector allocates %.0f times, more than 55", inspected-plain)
	}
}
