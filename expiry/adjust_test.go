package expiry_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/expiry"
)

// An adjustment of silence is silent, unless it says something itself.
func TestAdjustments(t *testing.T) {
	minute := expiry.After(time.Minute)
	silent := expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict { return expiry.Verdict{} })
	for _, test := range []struct {
		name        string
		s           expiry.Strategy
		field, want string
	}{
		{"Clamp from below", expiry.Clamp(nil, time.Minute, 0), "Cache-Control: max-age=5", "1m0s"},
		{"Clamp from above", expiry.Clamp(minute, 0, time.Second), "X: y", "overrule 1s"},
		{"Clamp of a refusal", expiry.Clamp(expiry.NoStore(), time.Minute, 0), "X: y", "refuse"},
		{"Clamp of no-store follows the server", expiry.Clamp(nil, time.Minute, 0), "Cache-Control: no-store", "1m0s"},
		{"Clamp of silence from below", expiry.Clamp(nil, time.Minute, 0), "X: y", "1m0s"},
		{"Clamp of silence from above", expiry.Clamp(nil, 0, time.Minute), "X: y", "silent"},
		{"Clamp of silence, the lower bound above the upper one", expiry.Clamp(nil, time.Hour, time.Minute), "X: y", "1m0s"},
		{"Jitter of nothing", expiry.Jitter(minute, 0), "X: y", "overrule 1m0s"},
		{"Jitter by what is no number", expiry.Jitter(minute, math.NaN()), "X: y", "overrule 1m0s"},
		{"Jitter of silence", expiry.Jitter(nil, 0.5), "X: y", "silent"},
		{"Sliding of silence", expiry.Sliding(nil), "X: y", "silent"},
		{"StaleWindows of silence", expiry.StaleWindows(nil, time.Minute, 0), "X: y", "0s"},
		{"one StaleWindow of silence", expiry.StaleWindows(nil, 0, -1), "X: y", "0s"},
		{"no StaleWindows of silence", expiry.StaleWindows(nil, 0, 0), "X: y", "silent"},
		{"Clamp of a strategy that is silent follows the server", expiry.Clamp(silent, 0, 10*time.Second), "Cache-Control: max-age=60", "10s"},
		{"what fills in below a Clamp", expiry.First(expiry.Clamp(nil, 0, time.Hour), minute), "X: y", "overrule 1m0s"},
		{"what fills in below a Jitter", expiry.First(expiry.Jitter(nil, 0.1), minute), "X: y", "overrule 1m0s"},
	} {
		if got := verdict(test.s.Expiry(exchange("http://h/", 200, test.field))); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	if v := expiry.Sliding(minute).Expiry(exchange("http://h/", 200)); !v.Sliding {
		t.Error("Sliding does not slide")
	}
	if v := expiry.StaleWindows(minute, time.Hour, -1).Expiry(exchange("http://h/", 200)); v.StaleWhileRevalidate != time.Hour || v.StaleIfError != -1 {
		t.Errorf("StaleWindows: %+v", v)
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
	all, x := expiry.Jitter(expiry.After(time.Hour), 1), exchange("http://h/", 200)
	for range 100_000 {
		if x.Now = x.Now.Add(time.Nanosecond); all.Expiry(x).For(0) < 0 {
			t.Fatal("a fraction of 1 takes more than the whole lifetime")
		}
	}
	if low < 50*time.Second || high > 100*time.Second || low > 55*time.Second || high < 95*time.Second {
		t.Errorf("lifetimes from %v to %v, want from 50 s to 100 s", low, high)
	}
}

// Responses that came at one moment get lifetimes of their own: host, path, query and time all take part.
func TestJitterDependsOnURLAndTime(t *testing.T) {
	s := expiry.Jitter(expiry.After(100*time.Second), 0.5)
	of := func(url string, later time.Duration) time.Duration {
		x := exchange(url, 200)
		x.Now = x.Now.Add(later)
		return s.Expiry(x).For(0)
	}
	long := strings.Repeat("x", 100)
	seen := map[time.Duration]string{}
	for _, test := range []struct {
		name, url string
		later     time.Duration
	}{
		{"a URL", "http://h/a?q=1", 0},
		{"another host", "http://i/a?q=1", 0},
		{"another path", "http://h/b?q=1", 0},
		{"another query", "http://h/a?q=2", 0},
		{"a later receipt", "http://h/a?q=1", time.Second},
		{"a URL with a long query", "http://h/a?q=" + long, 0},
		{"another host, with a long query", "http://i/a?q=" + long, 0},
	} {
		d := of(test.url, test.later)
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the lifetime of %s: %v", test.name, other, d)
		}
		seen[d] = test.name
	}
	for _, fraction := range []float64{-1000, 1000} {
		for name, r := range map[string]*http.Request{"without a request": nil, "without a URL": {}} {
			x := expiry.Exchange{Request: r, Response: exchange("http://h/", 200).Response, Now: now}
			if d := expiry.Jitter(expiry.After(time.Minute), fraction).Expiry(x).For(0); d < 0 || d > time.Minute {
				t.Errorf("%s: a fraction of %v makes a minute %v", name, fraction, d)
			}
		}
	}
}
