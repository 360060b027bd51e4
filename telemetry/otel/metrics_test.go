package plyotel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	plyotel "github.com/plyhttp/ply/telemetry/otel"
)

func TestMetricsOfCallsCacheAndBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRecorded()
		telemetry := s.telemetry(t)
		store, budget := newCache(t), &retry.TokenBucket{}
		_, err := telemetry.ObserveCache("main", store)
		require.NoError(t, err)
		stop, err := telemetry.ObserveBudget("main", budget)
		require.NoError(t, err)
		origin := &plytest.Origin{Latency: time.Second, Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(503), plytest.Text("hello", "Cache-Control", "max-age=60")}, "/b": {plytest.Refuse()},
		}}
		h := telemetry.Call(store.Middleware(retry.New(retry.Options{Backoff: retry.Constant(time.Second), Budget: budget})(telemetry.Attempt(origin))))
		require.NoError(t, get(t, h, "http://a.test/a"))
		require.NoError(t, get(t, h, "http://a.test/a"))
		resp, err := h.RoundTrip(post(t, "http://a.test/a", "body"))
		require.NoError(t, err)
		testutil.ReadAll(resp.Body)
		require.Error(t, get(t, h, "http://a.test/b"))

		const client = " server.address=a.test server.port=80"
		want := strings.Split(strings.TrimSpace(`
http.client.active_requests http.request.method=GET`+client+`: 0
http.client.active_requests http.request.method=POST`+client+`: 0
http.client.request.body.size http.request.method=POST http.response.status_code=200 network.protocol.version=1.1`+client+` url.scheme=http: 1 times, 4 in all
http.client.request.duration error.type=503 http.request.method=GET http.response.status_code=503 network.protocol.version=1.1`+client+` url.scheme=http: 1 times, 1 in all
http.client.request.duration error.type=connection_refused http.request.method=GET`+client+` url.scheme=http: 3 times, 3 in all
http.client.request.duration http.request.method=GET http.response.status_code=200 network.protocol.version=1.1`+client+` url.scheme=http: 1 times, 1 in all
http.client.request.duration http.request.method=POST http.response.status_code=200 network.protocol.version=1.1`+client+` url.scheme=http: 1 times, 1 in all
http.client.response.body.size error.type=503 http.request.method=GET http.response.status_code=503 network.protocol.version=1.1`+client+` url.scheme=http: 1 times, 0 in all
http.client.response.body.size http.request.method=GET http.response.status_code=200 network.protocol.version=1.1`+client+` url.scheme=http: 1 times, 5 in all
http.client.response.body.size http.request.method=POST http.response.status_code=200 network.protocol.version=1.1`+client+` url.scheme=http: 1 times, 5 in all
ply.cache.collapsed ply.cache.name=main: 0
ply.cache.entries ply.cache.name=main: 0
ply.cache.evictions ply.cache.name=main: 0
ply.cache.invalidated ply.cache.name=main: 1
ply.cache.refresh_ahead.refused ply.cache.name=main: 0
ply.cache.refresh_ahead.sent ply.cache.name=main: 0
ply.cache.requests ply.cache.name=main ply.cache.status=bypassed: 1
ply.cache.requests ply.cache.name=main ply.cache.status=error: 1
ply.cache.requests ply.cache.name=main ply.cache.status=hit: 1
ply.cache.requests ply.cache.name=main ply.cache.status=miss: 1
ply.cache.requests ply.cache.name=main ply.cache.status=revalidated: 0
ply.cache.requests ply.cache.name=main ply.cache.status=stale: 0
ply.cache.size ply.cache.name=main: 0
ply.cache.store.down ply.cache.name=main: 0
ply.cache.store.errors ply.cache.name=main: 0
ply.cache.store.owed ply.cache.name=main: 0
ply.cache.store.read_only ply.cache.name=main: 0
ply.cache.store.skipped ply.cache.name=main: 0
ply.cache.stored ply.cache.name=main: 1
ply.client.call.duration error.type=connection_refused http.request.method=GET`+client+` url.scheme=http: 1 times, 5 in all
ply.client.call.duration http.request.method=GET http.response.status_code=200 ply.cache.status=hit`+client+` url.scheme=http: 1 times, 0 in all
ply.client.call.duration http.request.method=GET http.response.status_code=200 ply.cache.status=miss`+client+` url.scheme=http: 1 times, 3 in all
ply.client.call.duration http.request.method=POST http.response.status_code=200 ply.cache.status=bypassed`+client+` url.scheme=http: 1 times, 1 in all
ply.retry.budget.empty ply.retry.budget.name=main: 0
ply.retry.budget.granted ply.retry.budget.name=main: 3
ply.retry.budget.in_trouble ply.retry.budget.name=main: 1
ply.retry.budget.refused ply.retry.budget.name=main: 0
ply.retry.retries http.request.method=GET`+client+`: 3
ply.retry.stops http.request.method=GET ply.retry.stop=attempts`+client+`: 1
ply.retry.stops http.request.method=GET ply.retry.stop=done`+client+`: 1
ply.retry.stops http.request.method=POST ply.retry.stop=done`+client+`: 1`), "\n")
		if diff := cmp.Diff(want, s.measured(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		require.NoError(t, stop())
		if all := fmt.Sprint(s.measured(t)); strings.Contains(all, "budget") || !strings.Contains(all, "ply.cache") {
			t.Errorf("after the end of the budget's observation %s", all)
		}
	})
}

// counter counts for itself.
type counter struct{ sent, busy int64 }

func (c *counter) Counts(yield func(name, unit, description string, level bool, value int64)) {
	yield("acme.sent", "{request}", "Requests.", false, c.sent)
	yield("acme.busy", "{request}", "Requests under way.", true, c.busy)
}

func TestWhatCountsForItselfIsObserved(t *testing.T) {
	s := newRecorded()
	telemetry := s.telemetry(t)
	a, b := &counter{sent: 3, busy: 1}, &counter{sent: 5}
	stop, err := telemetry.Observe("a", a)
	require.NoError(t, err)
	_, err = telemetry.Observe("b", b)
	require.NoError(t, err)
	a.sent, a.busy = 4, 0
	require.Equal(t, []string{"acme.busy ply.name=a: 0", "acme.busy ply.name=b: 0", "acme.sent ply.name=a: 4", "acme.sent ply.name=b: 5"}, s.measured(t))
	require.NoError(t, stop())
	require.Equal(t, []string{"acme.busy ply.name=b: 0", "acme.sent ply.name=b: 5"}, s.measured(t))
}

// However many servers, methods and templates there are, series stay few.
// A transport sends the content again if a connection turns out to be dead: what was sent is as much as the furthest reading of it.
func TestContentThatIsSentAgainIsCountedOnce(t *testing.T) {
	for _, first := range []int64{0, 2, 4} {
		s := newRecorded()
		resp, err := s.telemetry(t).Attempt(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			io.CopyN(io.Discard, r.Body, first)
			r.Body.Close()
			again, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			defer again.Close()
			io.Copy(io.Discard, again)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
		})).RoundTrip(post(t, "http://a.test/", "body"))
		require.NoError(t, err)
		testutil.ReadAll(resp.Body)
		require.Contains(t, strings.Join(s.measured(t), "\n"), "http.client.request.body.size http.request.method=POST http.response.status_code=200 server.address=a.test server.port=80 url.scheme=http: 1 times, 4 in all")
	}
}

func TestSeriesAreBounded(t *testing.T) {
	s := newRecorded()
	telemetry := s.telemetry(t, func(o *plyotel.Options) { o.MaxServers = 3 })
	h := telemetry.Call(telemetry.Attempt(plytest.NewOrigin(plytest.Text("x"))))
	for i := range 200 {
		req := request(t, ply.WithURLTemplate(t.Context(), fmt.Sprint("/t", i)), fmt.Sprintf("http://h%d.test/", i%50))
		req.Method = fmt.Sprint("M", i)
		resp, err := h.RoundTrip(req)
		require.NoError(t, err)
		testutil.ReadAll(resp.Body)
	}
	series := map[string]int{}
	for _, one := range s.measured(t) {
		name, rest, _ := strings.Cut(one, " ")
		series[name]++
		if !strings.Contains(rest, "http.request.method=_OTHER") {
			t.Error(one)
		}
	}
	// 100 templates, on 3 servers and the others; what has no template of its own shares one.
	if n := series["http.client.request.duration"]; n > 104 || n < 100 {
		t.Errorf("%d series of durations", n)
	}
	if n := series["http.client.active_requests"]; n != 4 {
		t.Errorf("%d series of active requests", n)
	}
}

func BenchmarkAttempt(b *testing.B) {
	for name, o := range map[string]plyotel.Options{"idle": {}, "recording": newRecorded().options()} {
		b.Run(name, func(b *testing.B) {
			telemetry, err := plyotel.New(o)
			require.NoError(b, err)
			h := telemetry.Attempt(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
			}))
			req := request(b, context.Background(), "http://a.test/")
			b.ReportAllocs()
			for b.Loop() {
				h.RoundTrip(req)
			}
		})
	}
}

func TestASampledAttemptAllocatesLittle(t *testing.T) {
	telemetry, err := plyotel.New(newRecorded().options())
	require.NoError(t, err)
	h := telemetry.Attempt(testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	}))
	req := request(t, context.Background(), "http://a.test/")
	got := testing.AllocsPerRun(200, func() { h.RoundTrip(req) })
	want := 32.0 // the origin's included
	if underRace {
		want = 36
	}
	if got > want {
		t.Errorf("%v allocations, want %v at most", got, want)
	}
}

// The context ends, then the caller reads on and closes: that is one request and one call.
func TestOperationEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRecorded()
		telemetry := s.telemetry(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		h := telemetry.Call(telemetry.Attempt(plytest.NewOrigin(plytest.Reply{Body: "hello", Fault: plytest.StallAfter(3)})))
		resp, err := h.RoundTrip(request(t, ctx, "http://a.test/"))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		testutil.ReadAll(resp.Body)
		for _, series := range s.measured(t) {
			if strings.Contains(series, ".duration") && !strings.Contains(series, "error.type=timeout") || strings.Contains(series, " times") && !strings.Contains(series, ": 1 times") {
				t.Error(series)
			}
		}
		if got := s.ended(); len(got) != 2 || !strings.HasSuffix(got[0], "took=1s") || !strings.HasSuffix(got[1], "took=1s") {
			t.Errorf("got %q", got)
		}
	})
}
