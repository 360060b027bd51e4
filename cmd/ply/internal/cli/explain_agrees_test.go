package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// The header combinations: what an origin says of lifetime, of validators, of its dates and of variants, and what a request brings.
var (
	saidOfLifetime = []string{
		"", "Cache-Control: max-age=60", "Cache-Control: max-age=0", "Cache-Control: max-age=60, s-maxage=5", "Cache-Control: s-maxage=60", "Cache-Control: no-store", "Cache-Control: no-cache, max-age=60",
		"Cache-Control: private, max-age=60", "Cache-Control: public, max-age=60", "Cache-Control: max-age=60, must-revalidate", "Cache-Control: max-age=60, proxy-revalidate",
		"Cache-Control: max-age=60, stale-while-revalidate=30", "Cache-Control: max-age=60, immutable", "Cache-Control: max-age=5, max-age=60", "Cache-Control: max-age=x", "Cache-Control: no-store, must-understand, max-age=60",
		"Cache-Control: max-age=60, no-cache=\"x\"", "Expires: +60", "Expires: 0", "Pragma: no-cache | Expires: +60", "Cache-Control: max-age=60 | Expires: -60",
	}
	saidOfValidators = []string{"", `ETag: "1"`, "Last-Modified: -1000"}
	saidBeside       = []string{"", "Age: 20", "Date: -30", "Vary: Accept", "Vary: *", "Vary: Cookie, Authorization", "Set-Cookie: a=b", "Age: 100"}
	requestFields    = []string{"", "Authorization: Bearer a", "Cookie: a=b"}
	statuses         = []int{200, 404, 503, 302}
)

// What the command explains of an answer, read from its JSON, is what a cache then does with it: whether it stores it, and whether it answers at once,
// validates or fetches, a moment later, a second before the lifetime ends, a second after, and for another user.
func TestExplainAgreesWithWhatTheCacheThenDoes(t *testing.T) {
	n, before := 0, map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		for _, shared := range []bool{false, true} {
			for _, lifetime := range saidOfLifetime {
				for _, validator := range saidOfValidators {
					for i, beside := range saidBeside {
						request := requestFields[n%len(requestFields)]
						status := statuses[0]
						if i == 0 {
							for _, status := range statuses[1:] {
								explainedThenDone(t, combination{shared, status, request, lifetime + " | " + validator}, before)
								n++
							}
						}
						explainedThenDone(t, combination{shared, status, request, lifetime + " | " + validator + " | " + beside}, before)
						n++
					}
				}
			}
		}
	})
	for _, what := range []string{"hit", "stale", "revalidated", "miss", "stored", "not stored"} {
		if before[what] < 30 {
			t.Errorf("only %d times %s in %d combinations", before[what], what, n)
		}
	}
	if n < 1000 {
		t.Errorf("only %d combinations", n)
	}
}

// A combination is a request and an answer.
type combination struct {
	shared            bool
	status            int
	request, response string // fields; numbers of dates are seconds from now
}

func (c combination) header(fields string) http.Header {
	h := http.Header{}
	for field := range strings.SplitSeq(fields, "|") {
		name, value, ok := strings.Cut(strings.TrimSpace(field), ": ")
		if !ok {
			continue
		}
		switch name {
		case "Expires", "Last-Modified", "Date":
			var seconds int
			if _, err := fmt.Sscanf(value, "%d", &seconds); err == nil && value != "0" {
				value = time.Now().Add(time.Duration(seconds) * time.Second).UTC().Format(http.TimeFormat)
			}
		}
		h.Add(name, value)
	}
	return h
}

// A statedOrigin answers what it was told, and conditions with 304.
type statedOrigin struct {
	status int
	header http.Header
	asked  []*http.Request
}

func (o *statedOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.asked = append(o.asked, r)
	return o.answer(r), nil
}

func (o *statedOrigin) answer(r *http.Request) *http.Response {
	status, body := o.status, "hello"
	if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
		status, body = http.StatusNotModified, ""
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: maps.Clone(o.header), Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// explainedThenDone explains an answer, has a cache receive it, and compares what follows. It counts what happened.
func explainedThenDone(t *testing.T, c combination, count map[string]int) {
	t.Helper()
	x := &explained{}
	for i, when := range []func() time.Duration{
		func() time.Duration { return 0 },
		func() time.Duration { return x.left() - time.Second },
		func() time.Duration { return x.left() + time.Second },
		func() time.Duration { return x.left() + x.Response.StaleWhileRevalidate + time.Second },
	} {
		o := &statedOrigin{status: c.status, header: c.header(c.response)}
		cached, err := cache.New(cache.Options{Shared: c.shared})
		require.NoError(t, err)
		rt := cached.Middleware(o)
		*x = *explainCombination(t, cached, c, o)
		first, _ := cacheStatus(t, rt, c, "")
		if first.Stored != x.Response.Stored || !first.Stored && !strings.Contains(first.Detail, x.Response.Reason) {
			t.Errorf("%+v: explained as %+v\n%s", c, x.Response, first)
		}
		if first.Stored && first.TTL != x.left().Truncate(time.Second) && !x.Response.NoCache {
			t.Errorf("%+v: fresh for %v, explained as %v", c, first.TTL, x.left())
		}
		wait := when()
		if wait < 0 {
			cached.Close()
			continue
		}
		time.Sleep(wait)
		asked := len(o.asked)
		second, _ := cacheStatus(t, rt, c, "")
		synctest.Wait() // a refresh in the background
		want := x.foresees(wait)
		if second.Outcome() != want {
			t.Errorf("%+v, %v later: %s, explained as %s: %+v\n%s", c, wait, second.Outcome(), want, x.Response, second)
		}
		if want == "hit" && len(o.asked) != asked {
			t.Errorf("%+v, %v later: a hit has asked the origin", c, wait)
		}
		count[want]++
		if i == 0 {
			count[map[bool]string{true: "stored", false: "not stored"}[x.Response.Stored]]++
			other, _ := cacheStatus(t, rt, c, "Authorization: Bearer someone else")
			if gets := other.Hit; gets != (c.shared && want == "hit" && !slices.Contains(x.Response.Varies, "Authorization")) {
				t.Errorf("%+v: another user got a hit: %v; explained as %+v", c, gets, x.Response)
			}
		}
		cached.Close()
	}
}

// left is for how long the answer is fresh from its receipt on.
func (x *explained) left() time.Duration { return x.Response.FreshnessLifetime - x.Response.Age }

// foresees is the outcome of the same request some time after the answer, as the explanation has it.
func (x *explained) foresees(later time.Duration) string {
	r, staleness := x.Response, later-x.left()
	switch {
	case !r.Stored:
		return "miss"
	case !r.NoCache && staleness < 0:
		return "hit"
	case !r.NoCache && !r.MustRevalidate && r.StaleWhileRevalidate > 0 && staleness <= r.StaleWhileRevalidate:
		return "stale"
	case r.ETag != "" || r.LastModified != "":
		return "revalidated"
	}
	return "refreshed"
}

// explainCombination explains as the command does, and reads the JSON that it prints.
func explainCombination(t *testing.T, c *cache.Cache, of combination, o *statedOrigin) *explained {
	t.Helper()
	r := of.newRequest(t, "")
	x, err := explainExchange(t.Context(), c, r, o.answer(r), time.Now())
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, (&env{stdout: &out, format: "json"}).showExplained(x))
	printed := &explained{}
	require.NoError(t, json.Unmarshal([]byte(out.String()), printed))
	return printed
}

func (c combination) newRequest(t *testing.T, instead string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h.test/a", nil)
	require.NoError(t, err)
	r.Header = c.header(c.request)
	if instead != "" {
		r.Header = c.header(instead)
	}
	return r
}

// cacheStatus sends the request, or that of another user, and reads the answer to its end.
func cacheStatus(t *testing.T, rt http.RoundTripper, c combination, instead string) (cache.Status, *http.Response) {
	t.Helper()
	resp, err := rt.RoundTrip(c.newRequest(t, instead))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	resp.Body.Close()
	s, ok := cache.StatusOf(resp)
	require.True(t, ok)
	return s, resp
}
