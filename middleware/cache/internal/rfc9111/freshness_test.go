package rfc9111

import (
	"github.com/plyhttp/ply/expiry"
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9111 §4.2.3: age.
func TestCurrentAge(t *testing.T) {
	for _, test := range []struct {
		name                string
		fields              string
		requested, received int
		now                 int
		want                int
	}{
		{"on receipt", "Date: " + date(0), 0, 0, 0, 0},
		{"resident", "Date: " + date(0), 0, 0, 10, 10},
		{"upstream Age", "Date: " + date(0) + " | Age: 5", 0, 0, 10, 15},
		{"apparent age", "Date: " + date(-20), 0, 0, 10, 30},
		{"the larger of the two", "Date: " + date(-20) + " | Age: 30", 0, 0, 0, 30},
		{"response delay", "Date: " + date(0) + " | Age: 5", 0, 3, 3, 8},
		{"Date in the future", "Date: " + date(100), 0, 0, 10, 10},
		{"no Date", "", 0, 0, 10, 10},
		{"invalid Age", "Date: " + date(0) + " | Age: x", 0, 0, 10, 10},
		{"clock set back", "Date: " + date(0), 0, 0, -100, 0},
		{"huge", "Age: 99999999999999", 0, 0, 10, field.MaxDelta},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &stored.Entry{Received: at(test.received), InitialAge: InitialAge(header(test.fields), at(test.requested), at(test.received))}
			if got := e.Age(at(test.now)); got != time.Duration(test.want)*time.Second {
				t.Errorf("age %v, want %d s", got, test.want)
			}
		})
	}
}

// judge returns what a strategy makes of a response, and the rules that it is stored with.
func judge(s, perRequest expiry.Strategy, status int, fields string, p *Policy) (Candidate, stored.Rules) {
	resp := &http.Response{StatusCode: status, Header: header(fields)}
	x := expiry.Exchange{Request: newRequest("GET", ""), Response: resp, Now: t0, Shared: p.Shared, Targeted: p.Targeted, PerRequest: perRequest}
	c := Judge(x, s, InitialAge(resp.Header, t0, t0), 0)
	return c, NewRules(&c, p)
}

// RFC 9111 §4.2.1: how long a response is fresh, where an expiry strategy has a say.
func TestFreshnessLifetime(t *testing.T) {
	hour, minute := expiry.After(time.Hour), expiry.After(time.Minute)
	ignoring := expiry.Precedence{IgnorePerRequest: true}
	for _, test := range []struct {
		name          string
		s, perRequest expiry.Strategy
		status        int
		fields        string
		lifetime      time.Duration
		unwanted      bool
	}{
		{"the server's", expiry.Default(), nil, 200, "Cache-Control: max-age=10", 10 * time.Second, false},
		{"one's own", hour, nil, 200, "Cache-Control: max-age=10", time.Hour, false},
		{"the request's", hour, minute, 200, "", time.Minute, false},
		{"the request's, where the strategy ignores it", ignoring, minute, 200, "Cache-Control: max-age=10", 10 * time.Second, false},
		{"a silent strategy", expiry.FromServer(), nil, 200, "Last-Modified: " + date(-1000), 100 * time.Second, false},
		{"an error with the server's lifetime, shorter", hour, nil, 404, "Cache-Control: max-age=10", 10 * time.Second, false},
		{"an error with the server's lifetime, longer", minute, nil, 404, "Cache-Control: max-age=100", time.Minute, false},
		{"an error without a lifetime", hour, nil, 404, "", time.Hour, true},
		{"an error with a lifetime of zero", hour, nil, 404, "Cache-Control: max-age=0", time.Hour, true},
		{"400 is an error", hour, nil, 400, "", time.Hour, true},
		{"399 is none", hour, nil, 399, "", time.Hour, false},
		{"an error under a strategy that validates each time", expiry.AlwaysRevalidate(), nil, 404, "Cache-Control: max-age=10", 0, true},
		{"an error that the strategy refuses", expiry.NoStore(), nil, 404, "Cache-Control: max-age=10", 0, false},
		{"an error that the strategy names", expiry.ByStatus(map[int]expiry.Strategy{404: hour}), nil, 404, "", time.Hour, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, rules := judge(test.s, test.perRequest, test.status, test.fields, private)
			if rules.Lifetime != test.lifetime || c.Unwanted != test.unwanted {
				t.Errorf("%v, unwanted %v; want %v, %v", rules.Lifetime, c.Unwanted, test.lifetime, test.unwanted)
			}
		})
	}
}

// RFC 5861: how long a stale response may be used, by the strategy, the server or the cache, in this order.
func TestFreshnessStaleWindows(t *testing.T) {
	own := &Policy{StaleWhileRevalidate: 7 * time.Second, StaleIfError: 8 * time.Second}
	wide := expiry.StaleWindows(expiry.After(time.Minute), time.Second, 2*time.Second)
	none := expiry.StaleWindows(expiry.Default(), -1, -1)
	for _, test := range []struct {
		name             string
		s                expiry.Strategy
		p                *Policy
		status           int
		fields           string
		revalidate, fail time.Duration
	}{
		{"no one's", expiry.Default(), private, 200, "Cache-Control: max-age=1", 0, 0},
		{"the cache's", expiry.Default(), own, 200, "Cache-Control: max-age=1", 7 * time.Second, 8 * time.Second},
		{"the server's", expiry.Default(), own, 200, "Cache-Control: max-age=1, stale-while-revalidate=3, stale-if-error=4", 3 * time.Second, 4 * time.Second},
		{"the strategy's", wide, own, 200, "Cache-Control: max-age=1, stale-while-revalidate=3, stale-if-error=4", time.Second, 2 * time.Second},
		{"none by the strategy", none, own, 200, "Cache-Control: max-age=1, stale-while-revalidate=3, stale-if-error=4", 0, 0},
		{"an error's are the server's", expiry.Default(), own, 404, "Cache-Control: max-age=1, stale-while-revalidate=3, stale-if-error=4", 3 * time.Second, 4 * time.Second},
		{"an error has none of the cache's", expiry.Default(), own, 404, "Cache-Control: max-age=1", 0, 0},
		{"an error has none of the strategy's", wide, own, 404, "Cache-Control: max-age=1", 0, 0},
		{"an error's are taken away by the strategy", none, own, 404, "Cache-Control: max-age=1, stale-while-revalidate=3, stale-if-error=4", 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, rules := judge(test.s, nil, test.status, test.fields, test.p)
			if rules.StaleWhileRevalidate != test.revalidate || rules.StaleIfError != test.fail {
				t.Errorf("%v, %v; want %v, %v", rules.StaleWhileRevalidate, rules.StaleIfError, test.revalidate, test.fail)
			}
		})
	}
}

// RFC 9111 §5.2.2: which directives of a response restrict its use, and that a strategy that overrules the server overrules them.
func TestFreshnessRules(t *testing.T) {
	hour := expiry.After(time.Hour)
	for _, test := range []struct {
		name              string
		s                 expiry.Strategy
		p                 *Policy
		fields            string
		noCache, mustness bool
	}{
		{"nothing", expiry.Default(), private, "Cache-Control: max-age=1", false, false},
		{"no-cache", expiry.Default(), private, "Cache-Control: no-cache", true, false},
		{"Pragma", expiry.Default(), private, "Pragma: x | Pragma: no-cache", true, false},
		{"another Pragma", expiry.Default(), private, "Pragma: x", false, false},
		{"Pragma, then more", expiry.Default(), private, "Pragma: no-cache, x", true, false},
		{"Pragma beside Cache-Control", expiry.Default(), private, "Cache-Control: max-age=1 | Pragma: no-cache", false, false},
		{"must-revalidate", expiry.Default(), private, "Cache-Control: must-revalidate", false, true},
		{"proxy-revalidate", expiry.Default(), private, "Cache-Control: proxy-revalidate", false, false},
		{"proxy-revalidate, shared", expiry.Default(), shared, "Cache-Control: proxy-revalidate", false, true},
		{"s-maxage, shared", expiry.Default(), shared, "Cache-Control: s-maxage=1", false, true},
		{"overruled", hour, shared, "Cache-Control: no-cache, must-revalidate, s-maxage=1", false, false},
		{"always validated", expiry.AlwaysRevalidate(), private, "Cache-Control: max-age=1", true, false},
	} {
		_, rules := judge(test.s, nil, 200, test.fields, test.p)
		if rules.NoCache != test.noCache || rules.MustRevalidate != test.mustness {
			t.Errorf("%s: no-cache %v, must-revalidate %v", test.name, rules.NoCache, rules.MustRevalidate)
		}
	}
	if _, rules := judge(expiry.Sliding(expiry.After(time.Minute)), nil, 200, "Cache-Control: immutable", private); !rules.Sliding || !rules.Immutable {
		t.Errorf("%+v", rules)
	}
}
