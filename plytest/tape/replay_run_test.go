package tape_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plyhttp/ply/internal/traffic"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/redact"
)

const page = "https://a.example/page"

// page200 is an exchange of the page, at a number of seconds, answered at once.
func page200(seconds int, body string, fields ...string) *tape.Exchange {
	return okay(time.Duration(seconds)*time.Second, page, body, 0, fields...)
}

func pageFails(seconds int, kind tape.FailureKind) *tape.Exchange {
	return &tape.Exchange{At: time.Duration(seconds) * time.Second, Request: tape.Request{URL: page}, Failure: &tape.Failure{Kind: kind, Text: string(kind)}}
}

func with(e *tape.Exchange, change func(*tape.Exchange)) *tape.Exchange {
	change(e)
	return e
}

func status(e *tape.Exchange, code int) *tape.Exchange {
	e.Response.Status = code
	return e
}

// layer is a chain of one function.
func layer(f func(origin http.RoundTripper, r *http.Request) (*http.Response, error)) func(http.RoundTripper) (http.RoundTripper, error) {
	return func(origin http.RoundTripper) (http.RoundTripper, error) {
		return roundTrip(func(r *http.Request) (*http.Response, error) { return f(origin, r) }), nil
	}
}

// hedged sends each request again after a second.
func hedged(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
	type result struct {
		resp *http.Response
		err  error
	}
	results := make(chan result, 2)
	send := func() {
		resp, err := origin.RoundTrip(r)
		results <- result{resp, err}
	}
	go send()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case got := <-results:
		return got.resp, got.err
	case <-timer.C:
	}
	go send()
	got := <-results
	return got.resp, got.err
}

// madeUp is a chain that asks no origin.
func madeUp(body string) func(http.RoundTripper) (http.RoundTripper, error) {
	return layer(func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
}

// clock returns the date a number of seconds after the start of the tape.
func clock(seconds int) string {
	return traffic.Start.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
}

func TestReportCounts(t *testing.T) {
	slow := func() *tape.Exchange { return okay(5*time.Second, page, "one", 9*time.Second) }
	cut := with(page200(0, "one"), func(e *tape.Exchange) { e.Failure = &tape.Failure{Kind: tape.FailureReset, Text: "cut"} })
	closed := func() *tape.Exchange {
		return with(page200(0, "one"), func(e *tape.Exchange) {
			e.Failure = &tape.Failure{Kind: tape.FailureClosed}
			e.Response.Length = 100
		})
	}
	changed := []*tape.Exchange{page200(0, "one", "Etag", `"1"`), page200(30, "two", "Etag", `"2"`), page200(100, "two", "Etag", `"2"`)}
	again := func(o retry.Options) func(http.RoundTripper) (http.RoundTripper, error) {
		return func(origin http.RoundTripper) (http.RoundTripper, error) { return retry.New(o)(origin), nil }
	}
	for name, c := range map[string]struct {
		tape  []*tape.Exchange
		chain func(http.RoundTripper) (http.RoundTripper, error)
		want  tape.Report
	}{
		"an answer that the origin has changed is out of date, though fresh": {
			changed, cached(cache.Options{}), tape.Report{Requests: 3, OriginRequests: 2, BytesOrigin: 6, BytesToCallers: 9, Hits: 1, OutOfDate: 1},
		},
		"a 304 to the cache is a revalidation": {
			[]*tape.Exchange{page200(0, "one", "Etag", `"1"`), page200(100, "one", "Etag", `"1"`)}, cached(cache.Options{}),
			tape.Report{Requests: 2, OriginRequests: 2, BytesOrigin: 3, BytesToCallers: 6, Revalidated: 1},
		},
		"a 304 to the caller's own condition is none": {
			[]*tape.Exchange{page200(0, "one", "Etag", `"1"`), with(status(page200(9, "", "Etag", `"1"`), 304), func(e *tape.Exchange) { e.Request.Header.Set("If-None-Match", `"1"`) })}, nil,
			tape.Report{Requests: 2, OriginRequests: 2, BytesOrigin: 3, BytesToCallers: 3},
		},
		"a cache that confirms what the caller has, although it changed": {
			[]*tape.Exchange{page200(0, "one", "Etag", `"1"`), with(page200(9, "two", "Etag", `"2"`), func(e *tape.Exchange) { e.Request.Header.Set("If-None-Match", `"1"`) })}, cached(cache.Options{}),
			tape.Report{Requests: 2, OriginRequests: 1, BytesOrigin: 3, BytesToCallers: 3, Hits: 1, OutOfDate: 1},
		},
		"a stale answer in place of an error is current if the content did not change": {
			[]*tape.Exchange{page200(0, "one"), pageFails(100, tape.FailureRefused)}, cached(cache.Options{StaleIfError: time.Hour}),
			tape.Report{Requests: 2, OriginRequests: 2, BytesOrigin: 3, BytesToCallers: 6, Hits: 1, Stale: 1},
		},
		"an error reaches the caller": {
			[]*tape.Exchange{page200(0, "one"), pageFails(100, tape.FailureRefused), status(page200(200, ""), 503)}, nil,
			tape.Report{Requests: 3, OriginRequests: 3, BytesOrigin: 3, BytesToCallers: 3, Errors: 1, ServerErrors: 1},
		},
		"a cut body is an error, and comes as far as it came": {
			[]*tape.Exchange{cut}, nil, tape.Report{Requests: 1, OriginRequests: 1, BytesOrigin: 3, BytesToCallers: 3, Errors: 1},
		},
		"a caller that closed the body does so again": {
			[]*tape.Exchange{closed()}, nil, tape.Report{Requests: 1, OriginRequests: 1, BytesOrigin: 3, BytesToCallers: 3},
		},
		"a retry succeeds after a lone failure": {
			[]*tape.Exchange{page200(0, "one"), pageFails(5, tape.FailureReset)}, again(retry.Options{Backoff: retry.Constant(time.Second)}),
			tape.Report{Requests: 2, OriginRequests: 3, BytesOrigin: 6, BytesToCallers: 6, Retries: 1, Wait: time.Second, P90: time.Second, P99: time.Second, Max: time.Second},
		},
		"retries within an outage do not": {
			[]*tape.Exchange{pageFails(5, tape.FailureReset), pageFails(50, tape.FailureReset), page200(100, "one")}, again(retry.Options{Backoff: retry.Constant(time.Second)}),
			tape.Report{
				Requests: 3, OriginRequests: 6, Retries: 3, Errors: 1, BytesOrigin: 6, BytesToCallers: 6,
				Wait: 3 * time.Second, P50: time.Second, P90: 2 * time.Second, P99: 2 * time.Second, Max: 2 * time.Second,
			},
		},
		"a hedge is faster than a slow answer": {
			[]*tape.Exchange{page200(0, "one"), slow()}, layer(hedged),
			tape.Report{Requests: 2, OriginRequests: 3, BytesOrigin: 6, BytesToCallers: 6, Hedges: 1, Wait: time.Second, P90: time.Second, P99: time.Second, Max: time.Second},
		},
		"an answer made up by a layer is a hit": {
			[]*tape.Exchange{page200(0, "one")}, madeUp("none"),
			tape.Report{Requests: 1, BytesToCallers: 4, Hits: 1, OutOfDate: 1},
		},
		"what a cache said when the tape was recorded does not count": {
			[]*tape.Exchange{page200(0, "one", "Cache-Status", "ply; hit; ttl=0")}, nil, tape.Report{Requests: 1, OriginRequests: 1, BytesOrigin: 3, BytesToCallers: 3},
		},
		"content in another coding is compared by its validators": {
			[]*tape.Exchange{page200(0, "zip", "Content-Encoding", "gzip", "Etag", `"1"`)}, layer(func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
				resp, err := origin.RoundTrip(r)
				if err == nil {
					resp.Header.Del("Content-Encoding")
					resp.Body = io.NopCloser(strings.NewReader("unzipped"))
				}
				return resp, err
			}),
			tape.Report{Requests: 1, OriginRequests: 1, BytesToCallers: 8},
		},
		"and without an entity tag by its date": {
			[]*tape.Exchange{page200(0, "zip", "Content-Encoding", "gzip", "Last-Modified", clock(0)), page200(100, "zap", "Content-Encoding", "gzip", "Last-Modified", clock(90))},
			layer(func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
				resp, err := origin.RoundTrip(r)
				if err == nil {
					resp.Header.Del("Content-Encoding")
					resp.Header.Set("Last-Modified", clock(0))
					resp.Body = io.NopCloser(strings.NewReader("unzipped"))
				}
				return resp, err
			}),
			tape.Report{Requests: 2, OriginRequests: 2, BytesToCallers: 16, OutOfDate: 1},
		},
		"a shorter answer is another one": {
			[]*tape.Exchange{page200(0, "one, two")}, madeUp("one"), tape.Report{Requests: 1, BytesToCallers: 3, Hits: 1, OutOfDate: 1},
		},
		"and a longer one": {
			[]*tape.Exchange{page200(0, "one")}, madeUp("one, two"), tape.Report{Requests: 1, BytesToCallers: 8, Hits: 1, OutOfDate: 1},
		},
		"and one with another status": {
			[]*tape.Exchange{status(page200(0, "one"), 404)}, madeUp("one"), tape.Report{Requests: 1, BytesToCallers: 3, Hits: 1, OutOfDate: 1},
		},
		"writes are not out of date": {
			[]*tape.Exchange{with(page200(0, "one"), func(e *tape.Exchange) { e.Request.Method = "POST" })}, madeUp("two"), tape.Report{Requests: 1, BytesToCallers: 3, Hits: 1},
		},
		"an answer to HEAD is compared by its validators": {
			[]*tape.Exchange{
				page200(0, "one", "Etag", `"1"`),
				with(page200(9, "", "Etag", `"2"`), func(e *tape.Exchange) { e.Request.Method = "HEAD" }),
			}, cached(cache.Options{}),
			tape.Report{Requests: 2, OriginRequests: 1, BytesOrigin: 3, BytesToCallers: 3, Hits: 1, OutOfDate: 1},
		},
		"a status of 500 without the origin is no hit": {
			[]*tape.Exchange{page200(0, "one")}, layer(func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 500, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			}),
			tape.Report{Requests: 1, ServerErrors: 1},
		},
		"a refresh in the background counts, also after the last answer": {
			[]*tape.Exchange{page200(0, "one", "Cache-Control", "max-age=10, stale-while-revalidate=60"), page200(30, "two", "Cache-Control", "max-age=10, stale-while-revalidate=60")},
			cached(cache.Options{}),
			tape.Report{Requests: 2, OriginRequests: 2, BytesOrigin: 6, BytesToCallers: 6, Hits: 1, Stale: 1, OutOfDate: 1},
		},
		"credentials that the tape does not have are counted": {
			[]*tape.Exchange{
				with(page200(0, "alice's"), func(e *tape.Exchange) { e.Request.Header.Set("Authorization", redact.Placeholder) }),
				with(page200(9, "bob's"), func(e *tape.Exchange) { e.Request.Header.Set("Cookie", "session="+redact.Placeholder) }),
				with(page200(20, "REDACTED"), func(e *tape.Exchange) { e.Request.Header.Set("Accept", redact.Placeholder) }),
			}, nil,
			tape.Report{Requests: 3, OriginRequests: 3, BytesOrigin: 20, BytesToCallers: 20, Redacted: 2},
		},
		"what a layer makes up is unknown": {
			[]*tape.Exchange{page200(0, "one")}, layer(func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.URL.RawQuery = "token=secret"
				return origin.RoundTrip(r)
			}),
			tape.Report{Requests: 1, OriginRequests: 1, Errors: 1, Unknown: 1, UnknownRequests: []string{"GET https://a.example/page?token=REDACTED"}},
		},
		"and so is what it adds credentials to": {
			[]*tape.Exchange{page200(0, "one")}, layer(func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", "Bearer x")
				return origin.RoundTrip(r)
			}),
			tape.Report{Requests: 1, OriginRequests: 1, Errors: 1, Unknown: 1, UnknownRequests: []string{"GET https://a.example/page"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := replay(t, &tape.Tape{Start: traffic.Start, Exchanges: c.tape}, c.chain)
			if d := cmp.Diff(&c.want, got, cmpopts.IgnoreFields(tape.Report{}, "Name", "Start", "Span")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReportListsTenUnknownRequests(t *testing.T) {
	recorded := &tape.Tape{Start: traffic.Start}
	for i := range 30 {
		recorded.Exchanges = append(recorded.Exchanges, okay(time.Duration(i), fmt.Sprintf("https://a.example/%d", i/2), "", 0))
	}
	r := replay(t, recorded, layer(func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Method = "DELETE"
		return origin.RoundTrip(r)
	}))
	if r.Unknown != 30 || r.Errors != 30 || len(r.UnknownRequests) != 10 {
		t.Errorf("%d, %q", r.Unknown, r.UnknownRequests)
	}
}

// Each principal's answers name it. A layer above the cache looks at what its callers get.
func TestNoPrincipalGetsTheAnswerOfAnother(t *testing.T) {
	recorded := traffic.Week(8, 3000)
	var personal atomic.Int64
	replay(t, recorded, func(origin http.RoundTripper) (http.RoundTripper, error) {
		below, err := cached(cache.Options{StaleIfError: 24 * time.Hour})(retry.New(retry.Options{})(origin))
		if err != nil {
			return nil, err
		}
		return closingHandler{roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := below.RoundTrip(r)
			if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer user-"); ok && err == nil && resp.StatusCode == 200 {
				body, _ := io.ReadAll(resp.Body)
				if personal.Add(1); !strings.Contains(string(body), "for user "+name+",") {
					t.Errorf("user %s gets %.60q", name, body)
				}
				resp.Body = io.NopCloser(strings.NewReader(string(body)))
			}
			return resp, err
		}), below.(io.Closer)}, nil
	})
	if n := personal.Load(); n < 100 {
		t.Errorf("%d personal answers", n)
	}
}

// A tape need not be sorted, nor know when it began; requests have all that was recorded of them.
func TestRequestsAreAsRecorded(t *testing.T) {
	late, early := page200(90, "late"), page200(30, "early")
	early.Request = tape.Request{
		Method: "POST", URL: page, Host: "b.example", Header: http.Header{"Accept": {"a", "b"}}, Body: []byte("content"), Trailer: http.Header{"Checksum": {"1"}},
	}
	var got []string
	r := replay(t, &tape.Tape{Exchanges: []*tape.Exchange{late, early}}, layer(func(origin http.RoundTripper, r *http.Request) (*http.Response, error) {
		var body []byte
		if r.Body != nil {
			again, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			body, _ = io.ReadAll(again)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintln(time.Since(traffic.Start), r.Method, r.URL, r.Host, r.Header, string(body), r.ContentLength, r.Trailer)))
		return origin.RoundTrip(r)
	}))
	want := []string{
		"30s POST https://a.example/page b.example map[Accept:[a b]] content 7 map[Checksum:[1]]",
		"1m30s GET https://a.example/page a.example map[]  0 map[]",
	}
	if d := cmp.Diff(want, got); d != "" || !r.Start.Equal(traffic.Start) || r.Errors != 0 {
		t.Errorf("%s %s", r, d)
	}
}

// The dates that callers send move with those of the tape.
func TestConditionsOfAnOldTapeMove(t *testing.T) {
	start := time.Date(1998, 5, 4, 3, 2, 1, 500e6, time.UTC)
	date := func(seconds int) string {
		return start.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
	}
	one := with(page200(1, "one"), func(e *tape.Exchange) {
		e.Response.Header.Set("Date", date(1))
		e.Response.Header.Set("Last-Modified", date(-9))
	})
	two := with(status(page200(200, ""), 304), func(e *tape.Exchange) {
		e.Request.Header.Set("If-Modified-Since", date(-9))
		e.Response.Header = http.Header{"Date": {date(200)}, "Last-Modified": {date(-9)}}
	})
	var dates []time.Duration
	r := replay(t, &tape.Tape{Start: start, Exchanges: []*tape.Exchange{one, two}}, func(origin http.RoundTripper) (http.RoundTripper, error) {
		below, err := cached(cache.Options{})(origin)
		if err != nil {
			return nil, err
		}
		return closingHandler{roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := below.RoundTrip(r)
			if err == nil {
				generated, _ := http.ParseTime(resp.Header.Get("Date"))
				dates = append(dates, time.Since(generated).Truncate(time.Second))
			}
			return resp, err
		}), below.(io.Closer)}, nil
	})
	if r.OriginRequests != 2 || r.Errors != 0 || r.OutOfDate != 0 || r.BytesToCallers != 3 || !r.Start.Equal(start) {
		t.Errorf("the origin confirms what both have:\n%s", r)
	}
	if len(dates) != 2 || dates[0] != 0 || dates[1] != 0 {
		t.Errorf("the responses look %v old", dates)
	}
}
