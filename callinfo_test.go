package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// doer is what a Client and an *http.Client have in common.
type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// recordable are the clients whose calls can be recorded, over the same transport and layers.
func recordable(t *testing.T, transport http.RoundTripper, layers ...ply.Middleware) map[string]func() doer {
	return map[string]func() doer{
		"Client":      func() doer { return newClient(t, ply.Options{Transport: transport, Use: layers}) },
		"http.Client": func() doer { return ply.Wrap(&http.Client{Transport: transport}, layers...) },
	}
}

func ask(ctx context.Context, d doer, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return d.Do(req)
}

// recorded makes a call, reads its body to the end and returns its record.
func recorded(t *testing.T, d doer, url string) ply.CallInfo {
	t.Helper()
	resp, err := ask(ply.WithCallInfo(t.Context()), d, url)
	require.NoError(t, err)
	require.NoError(t, ply.Discard(resp, nil))
	info, ok := ply.CallInfoFrom(resp)
	require.True(t, ok)
	return info
}

func tourOfARecord() *plytest.Origin {
	return &plytest.Origin{Latency: time.Second, Paths: map[string][]plytest.Reply{
		"/old": {plytest.Status(http.StatusMovedPermanently, "Location", "/new?token=hush")},
		"/new": {plytest.Status(http.StatusServiceUnavailable), plytest.Text("hello", "Cache-Control", "max-age=60")},
	}}
}

func TestRecordShowsWhatEachLayerDid(t *testing.T) {
	for _, name := range []string{"Client", "http.Client"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := recordable(t, tourOfARecord(), cacheLayer, retry.New(retry.Options{}))[name]()
				start := time.Now()
				i := recorded(t, d, "http://joe:pw@a.test/old")

				if i.Method != "GET" || i.URL != "http://REDACTED:REDACTED@a.test/old" || i.Status != 200 || i.Err != nil || i.Open {
					t.Errorf("got %+v", i)
				}
				if took := time.Since(start); i.Total != took || !i.Start.Equal(start) {
					t.Errorf("%v from %v, want %v from %v", i.Total, i.Start, took, start)
				}
				type exchange struct {
					Attempt, Status int
					Span            time.Duration
				}
				type hop struct {
					URL, Cache, Stop string
					Status           int
					Received         int64
					Exchanges        []exchange
				}
				var got []hop
				for _, h := range i.Hops {
					shown := hop{URL: h.URL, Cache: h.Cache, Stop: h.Stop, Status: h.Status, Received: h.Received}
					for _, x := range h.Exchanges {
						shown.Exchanges = append(shown.Exchanges, exchange{x.Attempt, x.Status, x.Span.Duration})
					}
					got = append(got, shown)
				}
				want := []hop{
					{URL: "http://REDACTED:REDACTED@a.test/old", Cache: "miss", Stop: "done", Status: 301, Exchanges: []exchange{{1, 301, time.Second}}},
					{URL: "http://REDACTED:REDACTED@a.test/new?token=REDACTED", Cache: "miss", Stop: "done", Status: 200, Received: 5,
						Exchanges: []exchange{{1, 503, time.Second}, {2, 200, time.Second}}},
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				x := i.Hops[1].Exchanges
				if x[1].Wait <= 0 || x[1].Wait != x[1].Span.Start-x[0].Span.End() {
					t.Errorf("waited %v between %+v and %+v", x[1].Wait, x[0].Span, x[1].Span)
				}

				hit := recorded(t, d, "http://joe:pw@a.test/new?token=hush")
				if h := hit.Hops[0]; h.Cache != "hit" || len(h.Exchanges) != 0 || h.Stop != "" || h.Received != 5 || hit.Total != 0 {
					t.Errorf("a hit has %+v", hit)
				}
				if strings.Contains(i.String()+hit.String(), "hush") || strings.Contains(i.String(), "pw") {
					t.Errorf("a secret is shown in\n%s\n%s", i, hit)
				}
			})
		})
	}
}

func TestBackgroundRefreshIsNotInTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Text("one", "Cache-Control", "max-age=1, stale-while-revalidate=60"),
			plytest.Status(http.StatusServiceUnavailable), plytest.Text("two", "Cache-Control", "max-age=60"))
		c := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{cacheLayer, retryLayer}})
		recorded(t, c, "http://a.test/")
		time.Sleep(5 * time.Second)
		resp, err := ask(ply.WithCallInfo(t.Context()), c, "http://a.test/")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, ply.Discard(resp, nil))
		if origin.Count() != 3 {
			t.Fatalf("%d requests, want 3", origin.Count())
		}
		i, _ := ply.CallInfoFrom(resp)
		if h := i.Hops[0]; len(i.Hops) != 1 || h.Cache != "stale" || len(h.Exchanges) != 0 || h.Stop != "" {
			t.Errorf("got %+v", i)
		}
	})
}

func TestRecordOfAFailedCall(t *testing.T) {
	for _, name := range []string{"Client", "http.Client"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := recordable(t, plytest.NewOrigin(plytest.Refuse()), retry.New(retry.Options{MaxAttempts: 2}))[name]()
				ctx := ply.WithCallInfo(t.Context())
				if _, ok := ply.CallInfoFromContext(ctx); ok {
					t.Error("there is a record before there is a call")
				}
				_, err := ask(ctx, d, "http://joe:pw@a.test/?key=hush")
				i, ok := ply.CallInfoFromContext(ctx)
				if !ok || err == nil || i.Err == nil || !strings.Contains(err.Error(), i.Hops[0].Err.Error()) || i.Open || i.Status != 0 {
					t.Fatalf("%v, %+v", err, i)
				}
				h := i.Hops[0]
				if len(h.Exchanges) != 2 || h.Stop != "attempts" || h.Exchanges[1].Err == nil || h.Exchanges[1].Wait == 0 || i.Total < h.Exchanges[1].Wait {
					t.Errorf("got %+v", i)
				}
				if s := i.String(); strings.Contains(s, "hush") || strings.Contains(s, "pw") || !strings.Contains(s, "connection refused") {
					t.Errorf("got\n%s", s)
				}
			})
		})
	}
	t.Run("before it was sent", func(t *testing.T) {
		ctx := ply.WithCallInfo(t.Context())
		_, err := newClient(t, ply.Options{}).Get(ctx, "/relative")
		i, ok := ply.CallInfoFromContext(ctx)
		if !ok || i.Err != err || len(i.Hops) != 0 || i.URL != "/relative" {
			t.Errorf("%v, %+v", err, i)
		}
	})
	t.Run("after too many redirects", func(t *testing.T) {
		ctx := ply.WithCallInfo(t.Context())
		c := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Status(302, "Location", "/"))})
		_, err := c.Get(ctx, "http://a.test/", ply.MaxRedirects(2))
		i, _ := ply.CallInfoFromContext(ctx)
		if i.Err != err || len(i.Hops) != 3 || i.Status != 302 {
			t.Errorf("%v, %+v", err, i)
		}
	})
}

func TestRecordOfACanceledCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := ply.Wrap(&http.Client{Transport: plytest.NewOrigin(plytest.Stall(), plytest.Reply{Body: "0123456789", Fault: plytest.StallAfter(4)})})
		ctx, cancel := context.WithTimeout(ply.WithCallInfo(t.Context()), 3*time.Second)
		defer cancel()
		_, err := ask(ctx, d, "http://a.test/")
		if i, _ := ply.CallInfoFromContext(ctx); !errors.Is(i.Err, context.DeadlineExceeded) || i.Total != 3*time.Second || i.Hops[0].Exchanges[0].Err == nil {
			t.Errorf("%v, %+v", err, i)
		}

		ctx, cancel = context.WithTimeout(ply.WithCallInfo(t.Context()), 3*time.Second)
		defer cancel()
		resp, err := ask(ctx, d, "http://a.test/")
		require.NoError(t, err)
		time.Sleep(time.Second)
		if i, _ := ply.CallInfoFrom(resp); !i.Open || i.Total != time.Second || i.Status != 200 || !strings.Contains(i.String(), "so far") {
			t.Errorf("meanwhile %+v", i)
		}
		_, err = ply.Bytes(resp, nil)
		i, _ := ply.CallInfoFrom(resp)
		if !errors.Is(i.Err, context.DeadlineExceeded) || i.Open || i.Total != 3*time.Second || i.Hops[0].Received != 4 {
			t.Errorf("%v, %+v", err, i)
		}
	})
}

func TestRecordOfABodyClosedEarlyOrNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Text("0123456789"))})
		resp, err := ask(ply.WithCallInfo(t.Context()), c, "http://a.test/")
		require.NoError(t, err)
		io.ReadFull(resp.Body, make([]byte, 4))
		if i, _ := ply.CallInfoFrom(resp); !i.Open || i.Hops[0].Received != 4 {
			t.Errorf("before Close %+v", i)
		}
		resp.Body.Close()
		first, _ := ply.CallInfoFrom(resp)
		time.Sleep(time.Second)
		if h := first.Hops[0]; first.Open || !h.ClosedEarly || first.Err != nil {
			t.Errorf("got %+v", first)
		}
		if second, _ := ply.CallInfoFrom(resp); !cmp.Equal(first, second, cmpopts.EquateErrors()) {
			t.Errorf("the record changes after the end (-first +second)\n%s", cmp.Diff(first, second))
		}
	})
}

func TestRecordLeavesUpgradedConnectionsAlone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(conn, line)
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(ply.WithCallInfo(t.Context()), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := ply.Wrap(server.Client()).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.WriteString(resp.Body.(io.Writer), "ping\n")
	require.NoError(t, err)
	text, _ := io.ReadAll(resp.Body)
	if i, _ := ply.CallInfoFrom(resp); string(text) != "ping\n" || i.Status != 101 || i.Open {
		t.Errorf("%q, %+v", text, i)
	}
}

func TestEachCallHasItsOwnRecord(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
	defer server.Close()
	for name, d := range recordable(t, server.Client().Transport, cacheLayer, retryLayer) {
		t.Run(name, func(t *testing.T) {
			ctx, d := ply.WithCallInfo(t.Context()), d()
			var calls sync.WaitGroup
			for n := range 20 {
				calls.Go(func() {
					resp, err := ask(ctx, d, fmt.Sprintf("%s/%d", server.URL, n))
					if err != nil {
						t.Error(err)
						return
					}
					var readers sync.WaitGroup
					for range 3 {
						readers.Go(func() {
							i, _ := ply.CallInfoFrom(resp)
							_ = i.String()
							ply.CallInfoFromContext(ctx)
						})
					}
					text, _ := ply.Text(resp, nil)
					readers.Wait()
					i, _ := ply.CallInfoFrom(resp)
					if !strings.HasSuffix(i.URL, text) || len(i.Hops) != 1 || len(i.Hops[0].Exchanges) != 1 {
						t.Errorf("%s has the record %+v", text, i)
					}
				})
			}
			calls.Wait()

			resp, err := ask(ctx, d, server.URL+"/first")
			require.NoError(t, ply.Discard(resp, err))
			next := recorded(t, d, server.URL+"/next")
			resp, err = ask(resp.Request.Context(), d, server.URL+"/second")
			require.NoError(t, ply.Discard(resp, err))
			second, ok := ply.CallInfoFrom(resp)
			if !ok || !strings.HasSuffix(second.URL, "/second") || len(second.Hops) != 1 || !strings.HasSuffix(next.URL, "/next") {
				t.Errorf("with the context of an old call: %v, %+v", ok, second)
			}
		})
	}
}

func TestClientsInsideEachOtherHaveOneRecord(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("hello"))
	inner := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{retryLayer}})
	for name, d := range map[string]doer{
		"Wrap of Wrap":   ply.Wrap(ply.Wrap(&http.Client{Transport: origin}, retryLayer)),
		"HTTPClient":     ply.Wrap(inner.HTTPClient()),
		"Client of Wrap": newClient(t, ply.Options{Transport: ply.Wrap(&http.Client{Transport: origin}).Transport}),
		"Client of one":  newClient(t, ply.Options{Transport: inner}),
	} {
		t.Run(name, func(t *testing.T) {
			i := recorded(t, d, "http://a.test/")
			if len(i.Hops) != 1 || len(i.Hops[0].Exchanges) != 1 || i.Hops[0].Received != 5 || i.Hops[0].Exchanges[0].Status != 200 {
				t.Errorf("got %+v", i)
			}
		})
	}
}

func TestRequestsOfLayersAreInTheRecord(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("hello"))
	tokens := newClient(t, ply.Options{Transport: origin})
	auth := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if err := ply.Discard(tokens.Get(r.Context(), "http://auth.test/token")); err != nil {
				return nil, err
			}
			return next.RoundTrip(r)
		})
	}
	i := recorded(t, ply.Wrap(&http.Client{Transport: origin}, auth), "http://a.test/")
	x := i.Hops[0].Exchanges
	if len(i.Hops) != 1 || len(x) != 2 || x[0].URL != "http://auth.test/token" || !strings.Contains(i.String(), x[0].URL) {
		t.Errorf("got %+v", i)
	}
}

func TestLateHooksDoNotChangeARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loose sync.WaitGroup
		impatient := func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				loose.Go(func() {
					resp, err := next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
					ply.Discard(resp, err)
				})
				time.Sleep(time.Second)
				return reply(r, http.StatusOK, nil, "enough"), nil
			})
		}
		origin := &plytest.Origin{Latency: time.Minute}
		d := ply.Wrap(&http.Client{Transport: origin}, impatient)
		resp, err := ask(ply.WithCallInfo(t.Context()), d, "http://a.test/")
		require.NoError(t, ply.Discard(resp, err))
		before, _ := ply.CallInfoFrom(resp)
		loose.Wait()
		after, _ := ply.CallInfoFrom(resp)
		if diff := cmp.Diff(before, after); diff != "" || before.Hops[0].Exchanges[0].Status != 0 {
			t.Errorf("(-before +after)\n%s", diff)
		}
	})
}

func TestRecordIsBounded(t *testing.T) {
	many := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			for range 149 {
				ply.Discard(next.RoundTrip(r))
			}
			return next.RoundTrip(r)
		})
	}
	ctx := ply.WithCallInfo(t.Context())
	c := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Status(302, "Location", "/")), Use: []ply.Middleware{many}})
	c.Get(ctx, "http://a.test/", ply.MaxRedirects(119))
	i, _ := ply.CallInfoFromContext(ctx)
	if len(i.Hops) != 100 || i.Omitted != 20 || len(i.Hops[0].Exchanges) != 100 || i.Hops[0].Omitted != 50 {
		t.Errorf("%d hops and %d more, %d exchanges and %d more", len(i.Hops), i.Omitted, len(i.Hops[0].Exchanges), i.Hops[0].Omitted)
	}
}

func TestCacheStatusOfServersIsNotInTheRecord(t *testing.T) {
	d := ply.Wrap(&http.Client{Transport: plytest.NewOrigin(plytest.Text("hello", "Cache-Status", "ply; hit; ttl=60"))})
	if i := recorded(t, d, "http://a.test/"); i.Hops[0].Cache != "" || len(i.Hops[0].Exchanges) != 1 {
		t.Errorf("a server's claim is taken for the client's cache: %+v", i)
	}
}

func TestRecordersKeepTheContract(t *testing.T) {
	plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
		inner := ply.Wrap(&http.Client{Transport: next}).Transport
		return &askingLayer{inner}
	})
}

type askingLayer struct{ next http.RoundTripper }

func (l *askingLayer) RoundTrip(r *http.Request) (*http.Response, error) {
	return l.next.RoundTrip(r.WithContext(ply.WithCallInfo(r.Context())))
}

func (l *askingLayer) CloseIdleConnections() {
	l.next.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}

// A call that is not recorded allocates only what net/http itself allocates.
func TestUnrecordedCallsAllocateNothing(t *testing.T) {
	transport := ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	hc := &http.Client{Transport: transport}
	c := newClient(t, ply.Options{Transport: transport})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
	require.NoError(t, err)
	want := testing.AllocsPerRun(100, func() { hc.Do(req) })
	for name, d := range map[string]doer{"Client": c, "Wrap": ply.Wrap(hc), "Wrap of Wrap": ply.Wrap(ply.Wrap(hc))} {
		if got := testing.AllocsPerRun(100, func() { d.Do(req) }); got != want {
			t.Errorf("%s: %v allocations, %v without ply", name, got, want)
		}
	}
	if _, ok := ply.CallInfoFrom(get(t, c, "http://a.test/")); ok {
		t.Error("a call without WithCallInfo has a record")
	}
}

func TestResponseWithoutARecord(t *testing.T) {
	for name, resp := range map[string]*http.Response{"nil": nil, "without request": {}} {
		if _, ok := ply.CallInfoFrom(resp); ok {
			t.Errorf("%s has a record", name)
		}
	}
}
