package expiry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// exchange makes an exchange with a response that has these fields.
func exchange(url string, status int, fields ...string) expiry.Exchange {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	resp := &http.Response{StatusCode: status, Header: make(http.Header)}
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		resp.Header.Add(name, value)
	}
	return expiry.Exchange{Request: r, Response: resp, Now: now}
}

func date(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }

// verdict is a verdict in words.
func verdict(v expiry.Verdict) string {
	switch {
	case v.Silent():
		return "silent"
	case v.Refused():
		return "refuse"
	case v.Overrules():
		return "overrule " + v.For(0).String()
	}
	return v.For(0).String()
}

// RFC 9111 §4.2.1 and §4.2.2: where the freshness lifetime comes from.
func TestFreshnessLifetime(t *testing.T) {
	for _, test := range []struct {
		name, private, shared string
		fields                []string
	}{
		{"nothing", "0s", "0s", nil},
		{"max-age", "1m0s", "1m0s", []string{"Cache-Control: max-age=60"}},
		{"s-maxage is for shared caches", "1m0s", "5s", []string{"Cache-Control: max-age=60, s-maxage=5"}},
		{"max-age before Expires", "1m0s", "1m0s", []string{"Cache-Control: max-age=60", "Expires: " + date(time.Hour), "Date: " + date(0)}},
		{"Expires minus Date", "2h0m0s", "2h0m0s", []string{"Expires: " + date(time.Hour), "Date: " + date(-time.Hour)}},
		{"Expires without Date", "1h0m0s", "1h0m0s", []string{"Expires: " + date(time.Hour)}},
		{"Expires in the past", "0s", "0s", []string{"Expires: " + date(-time.Hour), "Last-Modified: " + date(-24*time.Hour)}},
		{"Expires 0", "0s", "0s", []string{"Expires: 0", "Last-Modified: " + date(-24*time.Hour)}},
		{"two Expires", "0s", "0s", []string{"Expires: " + date(time.Hour), "Expires: " + date(time.Hour)}},
		{"invalid max-age", "0s", "0s", []string{"Cache-Control: max-age=x", "Expires: " + date(time.Hour)}},
		{"heuristic", "2h24m0s", "2h24m0s", []string{"Last-Modified: " + date(-24*time.Hour)}},
		{"heuristic is bounded", "168h0m0s", "168h0m0s", []string{"Last-Modified: " + date(-10000*time.Hour)}},
		{"Last-Modified in the future", "0s", "0s", []string{"Last-Modified: " + date(time.Hour)}},
		{"saturated", "596523h14m7s", "596523h14m7s", []string{"Cache-Control: max-age=99999999999999999999"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := exchange("http://h/", 200, test.fields...)
			if got := verdict(expiry.Default().Expiry(x)); got != test.private {
				t.Errorf("private: %s, want %s", got, test.private)
			}
			x.Shared = true
			if got := verdict(expiry.Default().Expiry(x)); got != test.shared {
				t.Errorf("shared: %s, want %s", got, test.shared)
			}
		})
	}
}

// RFC 9111 §4.2.2: heuristics are for statuses that are cacheable by default, and for responses marked public.
func TestHeuristicFreshnessByStatus(t *testing.T) {
	modified := "Last-Modified: " + date(-100*time.Second)
	for status := 200; status < 600; status++ {
		want := "0s"
		switch status {
		case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
			want = "10s"
		}
		if got := verdict(expiry.Default().Expiry(exchange("http://h/", status, modified))); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
		if got := verdict(expiry.Default().Expiry(exchange("http://h/", status, modified, "Cache-Control: public"))); got != "10s" {
			t.Errorf("%d with public: %s, want 10s", status, got)
		}
	}
}

func TestFixedLifetimes(t *testing.T) {
	x := exchange("http://h/", 200, "Cache-Control: max-age=5, no-store")
	for _, test := range []struct {
		name string
		s    expiry.Strategy
		want string
	}{
		{"After", expiry.After(time.Hour), "overrule 1h0m0s"},
		{"After nothing", expiry.After(-1), "overrule 0s"},
		{"At", expiry.At(now.Add(time.Minute)), "overrule 1m0s"},
		{"At a time in another zone", expiry.At(now.Add(time.Minute).In(time.FixedZone("x", 5*3600))), "overrule 1m0s"},
		{"At a time that has passed", expiry.At(now.Add(-time.Minute)), "overrule 0s"},
		{"Never", expiry.NeverExpires(), "overrule 596523h14m7s"},
		{"AlwaysRevalidate", expiry.AlwaysRevalidate(), "overrule 0s"},
		{"NoStore", expiry.NoStore(), "refuse"},
		{"Default", expiry.Default(), "5s"},
	} {
		if got := verdict(test.s.Expiry(x)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestLifetimesFromReceiptDoNotCountUpstreamAge(t *testing.T) {
	if got := expiry.Lifetime(time.Hour).For(10 * time.Minute); got != 70*time.Minute {
		t.Errorf("lifetime of a response 10 minutes old on receipt: %v, want 70 minutes", got)
	}
	if got := expiry.Follow(time.Hour).For(10 * time.Minute); got != time.Hour {
		t.Errorf("the server's hour: %v", got)
	}
}

func TestCompositions(t *testing.T) {
	silent := expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict { return expiry.Verdict{} })
	minute := expiry.After(time.Minute)
	for _, test := range []struct {
		name string
		s    expiry.Strategy
		want string
	}{
		{"First skips silence and nil", expiry.First(nil, silent, minute), "overrule 1m0s"},
		{"First of nothing", expiry.First(), "silent"},
		{"Server says something", expiry.First(expiry.FromServer(), minute), "5s"},
		{"ByStatus", expiry.ByStatus(map[int]expiry.Strategy{200: minute}), "overrule 1m0s"},
		{"ByStatus of another", expiry.ByStatus(map[int]expiry.Strategy{404: minute}), "silent"},
		{"ByType", expiry.ByType(map[string]expiry.Strategy{"text/*": expiry.NoStore(), "Text/HTML": minute}), "overrule 1m0s"},
		{"ByType of a family", expiry.ByType(map[string]expiry.Strategy{"text/*": minute}), "overrule 1m0s"},
		{"ByType of another", expiry.ByType(map[string]expiry.Strategy{"image/*": minute}), "silent"},
		{"Clamp from below", expiry.Clamp(nil, time.Minute, 0), "1m0s"},
		{"Clamp from above", expiry.Clamp(minute, 0, time.Second), "overrule 1s"},
		{"Clamp of a refusal", expiry.Clamp(expiry.NoStore(), time.Minute, 0), "refuse"},
		{"Jitter of nothing", expiry.Jitter(minute, 0), "overrule 1m0s"},
	} {
		x := exchange("http://h/", 200, "Cache-Control: max-age=5", "Content-Type: text/html; charset=utf-8")
		if got := verdict(test.s.Expiry(x)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	if v := expiry.Sliding(minute).Expiry(exchange("http://h/", 200)); !v.Sliding {
		t.Error("Sliding does not slide")
	}
	if v := expiry.StaleWindows(minute, time.Hour, -1).Expiry(exchange("http://h/", 200)); v.StaleWhileRevalidate != time.Hour || v.StaleIfError != -1 {
		t.Errorf("Stale: %+v", v)
	}
}

func TestJitterSpreadsWithinItsFraction(t *testing.T) {
	s := expiry.Jitter(expiry.After(100*time.Second), 0.5)
	low, high := time.Hour, time.Duration(0)
	for i := range 1000 {
		x := exchange(fmt.Sprintf("http://h/%d", i), 200)
		d := s.Expiry(x).For(0)
		if d != s.Expiry(x).For(0) {
			t.Fatal("one response, two lifetimes")
		}
		low, high = min(low, d), max(high, d)
	}
	if low < 50*time.Second || high > 100*time.Second || low > 55*time.Second || high < 95*time.Second {
		t.Errorf("lifetimes from %v to %v, want from 50 s to 100 s", low, high)
	}
}

func TestPatternsCannotBeFooled(t *testing.T) {
	for _, test := range []struct {
		pattern, url string
		want         bool
	}{
		{"site.com", "http://site.com/a?b", true},
		{"site.com", "https://SITE.com:443/", true},
		{"site.com", "http://site.com.evil.org/", false},
		{"site.com", "http://evilsite.com/", false},
		{"site.com", "http://other/?u=http://site.com/", false},
		{"site.com", "http://site.com@evil.org/", false},
		{"site.com", "http://user:pw@site.com/", true},
		{"site.com", "http://site.com:8080/", false},
		{"site.com:8080", "http://site.com:8080/", true},
		{"site.com", "http://www.site.com/", false},
		{"*.site.com", "http://a.b.site.com/", true},
		{"*.site.com", "http://site.com/", false},
		{"*.site.com", "http://xsite.com/", false},
		{"*", "http://anything/", true},
		{"https://site.com", "http://site.com/", false},
		{"site.com/a", "http://site.com/a", true},
		{"site.com/a", "http://site.com/ab", false},
		{"site.com/a", "http://site.com/a/b", false},
		{"site.com/a", "http://site.com/x/../a", false}, // sent as it is
		{"site.com/x/../a", "http://site.com/x/../a", true},
		{"site.com/x/%2e%2E/a", "http://site.com/x/../a", true},
		{"site.com/x/*/a", "http://site.com/x/../a", false},
		{"site.com/*", "http://site.com/%2e%2e", false},
		{"bücher.example/a", "http://xn--bcher-kva.example/a", true},
		{"xn--bcher-kva.example", "http://BÜCHER.example:80/a", true},
		{"*.bücher.example", "http://www.xn--bcher-kva.example/a", true},
		{"~^http://xn--bcher-kva\\.example/", "http://bücher.example/a", true},
		{"site.com/a/**", "http://site.com/a/b/c", true},
		{"site.com/a/**", "http://site.com/a/../b", false},
		{"site.com/ü/*", "http://site.com/%c3%bc/a", true},
		{"site.com/%7ea b", "http://site.com/~a%20b", true},
		{"site.com/%2a", "http://site.com/x", false},
		{"[::1]:8080/a", "http://[::1]:8080/a", true},
		{"site.com/*/x", "http://site.com/a/x", true},
		{"site.com/*/x", "http://site.com/a/b/x", false},
		{"site.com/*.js", "http://site.com/app.js", true},
		{"~^https?://site\\.com/.*\\?v=", "http://site.com/a?v=1", true},
		{"~^https?://site\\.com/", "http://site.com.evil.org/", false},
	} {
		s, err := expiry.ByURL(expiry.URLRule{Pattern: test.pattern, Strategy: expiry.NeverExpires()})
		require.NoError(t, err)
		if got := !s.Expiry(exchange(test.url, 200)).Silent(); got != test.want {
			t.Errorf("%q fits %q: %v, want %v", test.pattern, test.url, got, test.want)
		}
	}
}

func TestBadPatternsAreErrors(t *testing.T) {
	for _, pattern := range []string{"site.com/a?b=1", "site.com/a#b", "site.com:x", "site.com/%zz", "", "/a", "ftp://a", "a*b.com", "*.", "*.*", "u@h", "h/[", "h/**/x", "~("} {
		if _, err := expiry.ByURL(expiry.URLRule{Pattern: pattern, Strategy: expiry.NeverExpires()}); err == nil {
			t.Errorf("%q must be an error", pattern)
		}
	}
	if _, err := expiry.ByURL(expiry.URLRule{Pattern: "h"}); err == nil {
		t.Error("a nil strategy must be an error")
	}
}

func TestFirstRuleThatFitsWins(t *testing.T) {
	s, err := expiry.ByURL(
		expiry.URLRule{Pattern: "h/a", Strategy: expiry.After(time.Second)},
		expiry.URLRule{Pattern: "h", Strategy: expiry.NoStore()},
	)
	require.NoError(t, err)
	got := []string{verdict(s.Expiry(exchange("http://h/a", 200))), verdict(s.Expiry(exchange("http://h/b", 200))), verdict(s.Expiry(exchange("http://i/", 200)))}
	if diff := cmp.Diff([]string{"overrule 1s", "refuse", "silent"}, got); diff != "" {
		t.Errorf("verdicts (-want +got)\n%s", diff)
	}
}

// The documented order: request header, response header, per request, per URL, default.
func TestPrecedence(t *testing.T) {
	full := func() expiry.Exchange {
		x := exchange("http://h/", 200, "Cache-Control: max-age=2")
		x.Request.Header.Set("Cache-Control", "max-age=1")
		x.PerRequest = expiry.After(3 * time.Second)
		return x
	}
	byURL, err := expiry.ByURL(expiry.URLRule{Pattern: "h", Strategy: expiry.After(4 * time.Second)})
	require.NoError(t, err)
	fallback := expiry.After(5 * time.Second)
	for _, test := range []struct {
		name string
		p    expiry.Precedence
		want string
	}{
		{"request header first", expiry.Precedence{URLs: byURL, Default: fallback}, "overrule 1s"},
		{"then the response", expiry.Precedence{IgnoreRequest: true, URLs: byURL, Default: fallback}, "2s"},
		{"then the request's own", expiry.Precedence{IgnoreRequest: true, IgnoreResponse: true, URLs: byURL, Default: fallback}, "overrule 3s"},
		{"then the URL", expiry.Precedence{IgnoreRequest: true, IgnoreResponse: true, IgnorePerRequest: true, URLs: byURL, Default: fallback}, "overrule 4s"},
		{"then the default", expiry.Precedence{IgnoreRequest: true, IgnoreResponse: true, IgnorePerRequest: true, Default: fallback}, "overrule 5s"},
		{"and at last the RFC", expiry.Precedence{IgnoreRequest: true, IgnoreResponse: true, IgnorePerRequest: true}, "silent"},
	} {
		if got := verdict(test.p.Expiry(full())); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// A choice for one request may be any strategy, one that asks for such a choice included.
func TestAPrecedenceAsTheChoiceOfARequest(t *testing.T) {
	for name, chosen := range map[string]expiry.Strategy{
		"alone":   expiry.Precedence{Default: expiry.After(time.Second)},
		"wrapped": expiry.Sliding(expiry.Precedence{Default: expiry.After(time.Second)}),
		"in one":  expiry.Precedence{URLs: expiry.Precedence{Default: expiry.After(time.Second)}},
	} {
		for _, asked := range []expiry.Strategy{chosen, expiry.Precedence{Default: expiry.After(time.Hour)}} {
			x := exchange("http://h/", 200)
			x.PerRequest = chosen
			if got := verdict(asked.Expiry(x)); got != "overrule 1s" {
				t.Errorf("%s: %s, want the choice of the request", name, got)
			}
		}
	}
}
