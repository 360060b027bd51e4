package expiry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
)

func TestChoosingAmongStrategies(t *testing.T) {
	silent := expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict { return expiry.Verdict{} })
	minute := expiry.After(time.Minute)
	for _, test := range []struct {
		name string
		s    expiry.Strategy
		want string
	}{
		{"First skips silence and nil", expiry.First(nil, silent, minute), "overrule 1m0s"},
		{"First of nothing", expiry.First(), "silent"},
		{"FromServer says something", expiry.First(expiry.FromServer(), minute), "5s"},
		{"ByStatus", expiry.ByStatus(map[int]expiry.Strategy{200: minute}), "overrule 1m0s"},
		{"ByStatus of another", expiry.ByStatus(map[int]expiry.Strategy{404: minute}), "silent"},
		{"ByType", expiry.ByType(map[string]expiry.Strategy{"text/*": expiry.NoStore(), "Text/HTML": minute}), "overrule 1m0s"},
		{"ByType of a family", expiry.ByType(map[string]expiry.Strategy{"text/*": minute}), "overrule 1m0s"},
		{"ByType of any", expiry.ByType(map[string]expiry.Strategy{"*/*": minute, "image/*": expiry.NoStore()}), "overrule 1m0s"},
		{"ByStatus where it is silent", expiry.First(expiry.ByStatus(map[int]expiry.Strategy{200: silent}), minute), "overrule 1m0s"},
		{"ByType of another", expiry.ByType(map[string]expiry.Strategy{"image/*": minute}), "silent"},
	} {
		x := exchange("http://h/", 200, "Cache-Control: max-age=5", "Content-Type: text/html; charset=utf-8")
		if got := verdict(test.s.Expiry(x)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// A lifetime for a status holds for errors, too, which a cache stores only if the strategy says so.
func TestByStatusSpeaksForAnyStatus(t *testing.T) {
	silent := expiry.Func(func(*http.Request, *http.Response, time.Time) expiry.Verdict { return expiry.Verdict{} })
	s := expiry.ByStatus(map[int]expiry.Strategy{500: expiry.After(time.Minute), 502: silent})
	for status, want := range map[int]bool{500: true, 502: false, 503: false} {
		if got := s.Expiry(exchange("http://h/", status)).AnyStatus; got != want {
			t.Errorf("%d: AnyStatus is %v, want %v", status, got, want)
		}
	}
}

func TestURLPatternsMatchNoLookAlike(t *testing.T) {
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
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.url, got, test.want)
		}
	}
}

func TestMalformedURLPatternIsAnError(t *testing.T) {
	for _, pattern := range []string{"site.com/a?b=1", "site.com/a#b", "site.com:x", "site.com/%zz", "", "/a", "ftp://a", "a*b.com", "*.", "*.*", "u@h", "h/[", "h/**/x", "~("} {
		if _, err := expiry.ByURL(expiry.URLRule{Pattern: pattern, Strategy: expiry.NeverExpires()}); err == nil {
			t.Errorf("%q must be an error", pattern)
		}
	}
	if _, err := expiry.ByURL(expiry.URLRule{Pattern: "h"}); err == nil {
		t.Error("a nil strategy must be an error")
	}
	if _, err := expiry.ByURL(expiry.URLRule{Pattern: "h/**/x"}); err == nil || strings.Contains(err.Error(), "strategy") {
		t.Errorf("a malformed pattern without a strategy: %v, want the error of the pattern", err)
	}
}

func TestFirstMatchingURLRuleWins(t *testing.T) {
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

// The rules belong to the strategy: a caller who goes on changing them changes nothing.
func TestStrategiesCopyTheirRules(t *testing.T) {
	minute, hour := expiry.After(time.Minute), expiry.After(time.Hour)
	rules := []expiry.URLRule{{Pattern: "h", Strategy: minute}}
	byStatus, byType, list := map[int]expiry.Strategy{200: minute}, map[string]expiry.Strategy{"text/html": minute}, []expiry.Strategy{minute}
	byURL, err := expiry.ByURL(rules...)
	require.NoError(t, err)
	strategies := map[string]expiry.Strategy{"ByURL": byURL, "ByStatus": expiry.ByStatus(byStatus), "ByType": expiry.ByType(byType), "First": expiry.First(list...)}
	rules[0].Strategy, byStatus[200], byType["text/html"], list[0] = hour, hour, hour, hour
	for name, s := range strategies {
		if got := verdict(s.Expiry(exchange("http://h/", 200, "Content-Type: text/html"))); got != "overrule 1m0s" {
			t.Errorf("%s: %s after its rules were changed", name, got)
		}
	}
}
