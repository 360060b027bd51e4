package expiry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
)

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

// A request says something of storing only by no-store and by a max-age above zero: max-age=0 asks for a validation.
func TestPrecedenceReadsTheRequest(t *testing.T) {
	for field, want := range map[string]string{
		"":                      "overrule 1h0m0s",
		"max-age=1":             "overrule 1s",
		"max-age=0":             "overrule 1h0m0s",
		"max-stale=5":           "overrule 1h0m0s",
		"no-cache":              "overrule 1h0m0s",
		"no-store, max-age=5":   "refuse",
		"max-age=5, max-age=10": "overrule 5s",
	} {
		x := exchange("http://h/", 200)
		x.Request.Header.Set("Cache-Control", field)
		if got := verdict(expiry.Precedence{Default: expiry.After(time.Hour)}.Expiry(x)); got != want {
			t.Errorf("%q: %s, want %s", field, got, want)
		}
	}
	x := exchange("http://h/", 200)
	x.Request = nil
	if got := verdict(expiry.Precedence{}.Expiry(x)); got != "silent" {
		t.Errorf("without a request: %s, want silent", got)
	}
}

// A choice for one request may be any strategy, one that asks for such a choice included.
func TestPrecedenceAsChoiceForOneRequest(t *testing.T) {
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
