package expiry_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/expiry"
)

// See what a strategy makes of responses, without a server. Whether one is stored at all, cache.Cache.ExplainResponse says.
func Example() {
	s := expiry.First(
		expiry.ByStatus(map[int]expiry.Strategy{http.StatusNotFound: expiry.After(10 * time.Second)}),
		expiry.Default(),
		expiry.After(time.Minute),
	)
	for _, resp := range []*http.Response{
		{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=3600"}}},
		{StatusCode: 200, Header: http.Header{}},
		{StatusCode: 404, Header: http.Header{}},
	} {
		v := s.Expiry(expiry.Exchange{Request: &http.Request{}, Response: resp, Now: time.Now()})
		fmt.Println(resp.StatusCode, resp.Header, v.For(0), "overrules the server:", v.Overrules())
	}
	// Output:
	// 200 map[Cache-Control:[max-age=3600]] 1h0m0s overrules the server: false
	// 200 map[] 1m0s overrules the server: true
	// 404 map[] 10s overrules the server: true
}

// Ignore what the server says, keep for an hour.
func ExampleAfter() {
	v := expiry.After(time.Hour).Expiry(exchange("http://example.com/", 200, "Cache-Control: no-store"))
	fmt.Println(v.For(0))
	// Output: 1h0m0s
}

func ExampleByURL() {
	s, err := expiry.ByURL(
		expiry.URLRule{Pattern: "example.com/static/**", Strategy: expiry.NeverExpires()},
		expiry.URLRule{Pattern: "*.example.com", Strategy: expiry.After(time.Minute)},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Expiry(exchange("http://api.example.com/users", 200)).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/users", 200)).Silent())
	// Output:
	// 1m0s
	// true
}

func ExampleFirst() {
	s := expiry.First(
		expiry.ByStatus(map[int]expiry.Strategy{404: expiry.After(time.Second)}),
		expiry.FromServer(),
		expiry.After(time.Minute),
	)
	fmt.Println(s.Expiry(exchange("http://example.com/", 404, "Cache-Control: max-age=60")).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/", 200)).For(0))
	// Output:
	// 1s
	// 1m0s
}

// Follow the server, and keep for a minute what says nothing.
func ExampleFirst_default() {
	s := expiry.First(expiry.Default(), expiry.After(time.Minute))
	fmt.Println(s.Expiry(exchange("http://example.com/", 200)).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "Cache-Control: max-age=10")).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "Cache-Control: no-store")).For(0))
	// Output:
	// 1m0s
	// 10s
	// 0s
}

// Follow the server, but keep nothing for less than ten seconds or more than a minute.
func ExampleClamp() {
	s := expiry.Clamp(expiry.Default(), 10*time.Second, time.Minute)
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "Cache-Control: max-age=3600")).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "Cache-Control: max-age=1")).For(0))
	// Output:
	// 1m0s
	// 10s
}

func ExamplePrecedence() {
	p := expiry.Precedence{IgnoreResponse: true, Default: expiry.After(time.Hour)}
	fmt.Println(p.Expiry(exchange("http://example.com/", 200, "Cache-Control: no-store")).For(0))
	// Output: 1h0m0s
}

func ExampleDefault() {
	fmt.Println(expiry.Default().Expiry(exchange("http://example.com/", 200, "Cache-Control: max-age=60")).For(0))
	// Output: 1m0s
}

func ExampleAt() {
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	fmt.Println(expiry.At(midnight).Expiry(exchange("http://example.com/", 200)).For(0))
	// Output: 20h55m55s
}

func ExampleAlwaysRevalidate() {
	fmt.Println(expiry.AlwaysRevalidate().Expiry(exchange("http://example.com/", 200)).For(0))
	// Output: 0s
}

func ExampleNoStore() {
	fmt.Println(expiry.NoStore().Expiry(exchange("http://example.com/", 200)).Refused())
	// Output: true
}

// Keep a 404 for a minute: errors are kept only if their status is named. The server decides about all others.
func ExampleByStatus() {
	s := expiry.First(expiry.ByStatus(map[int]expiry.Strategy{404: expiry.After(time.Minute)}), expiry.Default())
	fmt.Println(s.Expiry(exchange("http://example.com/", 404)).For(0))
	fmt.Println(s.Expiry(exchange("http://example.com/", 503)).Silent())
	// Output:
	// 1m0s
	// true
}

func ExampleByType() {
	s := expiry.ByType(map[string]expiry.Strategy{"image/*": expiry.NeverExpires(), "text/html": expiry.AlwaysRevalidate()})
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "Content-Type: text/html; charset=utf-8")).For(0))
	// Output: 0s
}

func ExampleJitter() {
	s := expiry.Jitter(expiry.After(time.Hour), 0.1)
	d := s.Expiry(exchange("http://example.com/", 200)).For(0)
	fmt.Println(d > 53*time.Minute && d <= time.Hour)
	// Output: true
}

func ExampleSliding() {
	fmt.Println(expiry.Sliding(expiry.After(time.Hour)).Expiry(exchange("http://example.com/", 200)).Sliding)
	// Output: true
}

// A minute in which an old answer comes at once while a new one is fetched, and an hour in which it stands in for an error.
func ExampleStaleWindows() {
	s := expiry.StaleWindows(expiry.First(expiry.Default(), expiry.After(10*time.Second)), time.Minute, time.Hour)
	v := s.Expiry(exchange("http://example.com/", 200))
	fmt.Println(v.For(0), v.StaleWhileRevalidate, v.StaleIfError)
	// Output: 10s 1m0s 1h0m0s
}

func ExampleNeverExpires() {
	fmt.Println(expiry.NeverExpires().Expiry(exchange("http://example.com/", 200)).For(0) > 60*365*24*time.Hour)
	// Output: true
}

func ExampleFromServer() {
	fmt.Println(expiry.FromServer().Expiry(exchange("http://example.com/", 200)).Silent())
	// Output: true
}

func ExampleFunc() {
	s := expiry.Func(func(_ *http.Request, resp *http.Response, now time.Time) expiry.Verdict {
		if resp.Header.Get("X-Preview") != "" {
			return expiry.Refuse()
		}
		return expiry.Verdict{} // no opinion
	})
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "X-Preview: yes")).Refused())
	// Output: true
}

// Keep for a minute, and have hits refresh what is older than 48 seconds.
func ExampleAhead() {
	v := expiry.Ahead(expiry.After(time.Minute), 0.8).Expiry(exchange("http://example.com/", 200))
	fmt.Printf("%v, refreshed in its last %.0f %%\n", v.For(0), 100*v.RefreshWithin)
	// Output: 1m0s, refreshed in its last 20 %
}

// Refresh reports early, for they take long; the rest expires in its time.
func ExampleXFetch() {
	s, err := expiry.ByURL(expiry.URLRule{Pattern: "example.com/reports/**", Strategy: expiry.XFetch(nil, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	s = expiry.First(s, expiry.Default())
	fmt.Println(s.Expiry(exchange("http://example.com/reports/2026", 200, "Cache-Control: max-age=60")).XFetch)
	fmt.Println(s.Expiry(exchange("http://example.com/", 200, "Cache-Control: max-age=60")).XFetch)
	// Output:
	// 1
	// 0
}
