package expiry_test

import (
	"math"
	"testing"
	"time"

	"github.com/plyhttp/ply/expiry"
)

// What is refreshed ahead changes no lifetime, and out of range counts as the nearest that can be.
func TestRefreshingAhead(t *testing.T) {
	minute := expiry.After(time.Minute)
	for name, test := range map[string]struct {
		s              expiry.Strategy
		within, xfetch float64
		want           string
	}{
		"Ahead":                          {expiry.Ahead(minute, 0.75), 0.25, 0, "overrule 1m0s"},
		"Ahead of the default":           {expiry.Ahead(nil, 0.75), 0.25, 0, "5s"},
		"Ahead at the end":               {expiry.Ahead(minute, 1), 0, 0, "overrule 1m0s"},
		"Ahead beyond the end":           {expiry.Ahead(minute, 2), 0, 0, "overrule 1m0s"},
		"Ahead from the beginning":       {expiry.Ahead(minute, -1), 1, 0, "overrule 1m0s"},
		"Ahead of no number":             {expiry.Ahead(minute, math.NaN()), 0, 0, "overrule 1m0s"},
		"Ahead of a refusal":             {expiry.Ahead(expiry.NoStore(), 0.5), 0, 0, "refuse"},
		"XFetch":                         {expiry.XFetch(minute, 1.5), 0, 1.5, "overrule 1m0s"},
		"XFetch below zero":              {expiry.XFetch(minute, -1), 0, 0, "overrule 1m0s"},
		"XFetch without bounds":          {expiry.XFetch(minute, math.Inf(1)), 0, 100, "overrule 1m0s"},
		"XFetch of no number":            {expiry.XFetch(minute, math.NaN()), 0, 0, "overrule 1m0s"},
		"both":                           {expiry.XFetch(expiry.Ahead(minute, 0.5), 1), 0.5, 1, "overrule 1m0s"},
		"within another adjustment":      {expiry.Clamp(expiry.Ahead(minute, 0.5), 0, time.Second), 0.5, 0, "overrule 1s"},
		"by status, as one of its rules": {expiry.ByStatus(map[int]expiry.Strategy{200: expiry.Ahead(minute, 0.5)}), 0.5, 0, "overrule 1m0s"},
	} {
		v := test.s.Expiry(exchange("http://h/", 200, "Cache-Control: max-age=5"))
		if v.RefreshWithin != test.within || v.XFetch != test.xfetch || verdict(v) != test.want {
			t.Errorf("%s: within %v, XFetch %v, %s; want %v, %v, %s", name, v.RefreshWithin, v.XFetch, verdict(v), test.within, test.xfetch, test.want)
		}
	}
}
