package expiry_test

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/expiry"
)

// RFC 9111 §4.2.1 and §4.2.2: where the freshness lifetime comes from.
func TestFreshnessLifetime(t *testing.T) {
	for _, test := range []struct {
		name, private, shared string
		fields                []string
	}{
		{"nothing", "silent", "silent", nil},
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
		{"Last-Modified at the time of the response", "0s", "0s", []string{"Last-Modified: " + date(0)}},
		{"Last-Modified that is no date", "silent", "silent", []string{"Last-Modified: yesterday"}},
		{"two Last-Modified", "silent", "silent", []string{"Last-Modified: " + date(-time.Hour), "Last-Modified: " + date(-time.Hour)}},
		{"s-maxage alone", "silent", "5s", []string{"Cache-Control: s-maxage=5"}},
		{"no-store", "0s", "0s", []string{"Cache-Control: no-store"}},
		{"no-cache", "0s", "0s", []string{"Cache-Control: no-cache"}},
		{"no-cache for some fields", "silent", "silent", []string{`Cache-Control: no-cache="Set-Cookie"`}},
		{"private", "silent", "0s", []string{"Cache-Control: private"}},
		{"directives without a lifetime", "silent", "silent", []string{"Cache-Control: public, immutable, must-revalidate, stale-if-error=60"}},
		{"an entity tag", "silent", "silent", []string{`Etag: "1"`}},
		{"Pragma", "0s", "0s", []string{"Pragma: No-Cache"}},
		{"Pragma with a parameter beside others", "0s", "0s", []string{"Pragma: x, no-cache=1"}},
		{"another Pragma", "silent", "silent", []string{"Pragma: x"}},
		{"Pragma beside Cache-Control", "silent", "silent", []string{"Pragma: no-cache", "Cache-Control: public"}},
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
		want := "silent"
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

// RFC 9213 §2.2: a targeted field that says nothing of a lifetime still keeps Expires from counting.
func TestTargetedFieldHidesCacheControlAndExpires(t *testing.T) {
	for _, test := range []struct{ name, targeted, want string }{
		{"a lifetime", "max-age=5", "5s"},
		{"no lifetime", "public", "silent"},
		{"no-store", "no-store", "0s"},
		{"malformed", "max-age=5, &", "1m0s"},
	} {
		x := exchange("http://h/", 200, "Cdn-Cache-Control: "+test.targeted, "Cache-Control: max-age=60", "Expires: "+date(time.Hour))
		x.Targeted = []string{"CDN-Cache-Control"}
		if got := verdict(expiry.Default().Expiry(x)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestFromServerUsesNoHeuristic(t *testing.T) {
	modified := "Last-Modified: " + date(-100*time.Second)
	for _, test := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"nothing", nil, "silent"},
		{"a heuristic alone", []string{modified}, "silent"},
		{"a lifetime", []string{"Cache-Control: max-age=5"}, "5s"},
		{"Expires", []string{"Expires: 0"}, "0s"},
		{"no-store", []string{"Cache-Control: no-store"}, "0s"},
		{"Pragma", []string{"Pragma: no-cache"}, "0s"},
		{"a restriction and a heuristic", []string{"Cache-Control: no-cache", modified}, "10s"},
	} {
		if got := verdict(expiry.FromServer().Expiry(exchange("http://h/", 200, test.fields...))); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// What the server or the heuristic says always comes before what fills in.
func TestDefaultLetsTheNextStrategyFillIn(t *testing.T) {
	s := expiry.First(expiry.Default(), expiry.After(time.Minute))
	for _, test := range []struct {
		name, field, want string
	}{
		{"nothing", "Etag: \"1\"", "overrule 1m0s"},
		{"max-age=0", "Cache-Control: max-age=0", "0s"},
		{"max-age", "Cache-Control: max-age=5", "5s"},
		{"no-store", "Cache-Control: no-store", "0s"},
		{"no-cache", "Cache-Control: no-cache", "0s"},
		{"Pragma", "Pragma: no-cache", "0s"},
		{"Expires", "Expires: 0", "0s"},
		{"heuristic", "Last-Modified: " + date(-100*time.Second), "10s"},
	} {
		if got := verdict(s.Expiry(exchange("http://h/", 200, test.field))); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
