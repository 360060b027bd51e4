package cache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

// What an explanation of storing says of lifetime, windows and audience, and that each rule has its section.
func TestExplainResponseNamesTheRulesWithTheirSections(t *testing.T) {
	private, shared, hour := cache.Options{}, cache.Options{Shared: true}, cache.Options{Expiry: expiry.After(time.Hour)}
	for _, test := range []struct {
		name     string
		o        cache.Options
		request  string
		response []string
		from     string
		rule     string // a part of one rule's text
		source   string // that rule's
		change   string // a part of one change, or empty for none
	}{
		{"max-age", private, "", []string{"Cache-Control: max-age=60"}, "max-age", "max-age gives", "RFC 9111 §4.2.1, §5.2.2.1", "an ETag"},
		{"s-maxage, shared", shared, "", []string{"Cache-Control: max-age=60, s-maxage=5"}, "s-maxage", "never served stale", "RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10", ""},
		{"s-maxage, private", private, "", []string{"Cache-Control: max-age=60, s-maxage=5"}, "max-age", "cache is private", "RFC 9111 §1, §2", ""},
		{"Expires", private, "", []string{"Expires: Thu, 01 Jan 2099 00:00:00 GMT"}, "Expires", "counted from Date", "RFC 9111 §4.2.1, §5.3", ""},
		{"heuristic", private, "", []string{"Last-Modified: Thu, 01 Jan 1998 00:00:00 GMT"}, "Last-Modified", "a tenth", "RFC 9111 §4.2.2", "max-age"},
		{"a validator alone", private, "", []string{`ETag: "1"`}, "", "stale at once", "RFC 9111 §4.2.4, §4.3", "max-age"},
		{"no-cache", private, "", []string{"Cache-Control: no-cache, max-age=60"}, "max-age", "no-cache: each use", "RFC 9111 §5.2.2.4", "without no-cache"},
		{"must-revalidate", private, "", []string{"Cache-Control: max-age=60, must-revalidate"}, "max-age", "never served stale", "RFC 9111 §5.2.2.2", ""},
		{"immutable", private, "", []string{"Cache-Control: max-age=60, immutable"}, "max-age", "immutable", "RFC 8246 §2", ""},
		{"a stale window", private, "", []string{"Cache-Control: max-age=60, stale-while-revalidate=30"}, "max-age", "For 30s beyond", "RFC 5861 §3", ""},
		{"a window for errors", private, "", []string{"Cache-Control: max-age=60, stale-if-error=30"}, "max-age", "in place of an error", "RFC 5861 §4", ""},
		{"age", private, "", []string{"Cache-Control: max-age=60", "Age: 70"}, "max-age", "1m10s old on receipt", "RFC 9111 §4.2.3", "longer than the age"},
		{"Vary", private, "", []string{"Cache-Control: max-age=60", "Vary: Accept"}, "max-age", "same Accept", "RFC 9111 §4.1", ""},
		{"the strategy validates", cache.Options{Expiry: expiry.AlwaysRevalidate()}, "", []string{"Cache-Control: max-age=60", `ETag: "1"`}, "Options.Expiry", "each use validated", "Options.Expiry", "another expiry strategy"},
		{"the strategy refuses", cache.Options{Expiry: expiry.NoStore()}, "", []string{"Cache-Control: max-age=60"}, "max-age", "would not be stored: expiry says", "Options.Expiry", "another expiry strategy"},
		{"never stale", cache.Options{Expiry: expiry.NeverExpires()}, "", []string{`ETag: "1"`}, "Options.Expiry", "gives the lifetime", "Options.Expiry", ""},
		{"a filter", cache.Options{Statuses: []int{404}}, "", []string{"Cache-Control: max-age=60"}, "max-age", "would not be stored: status not allowed", "Options.Statuses", "Options.Statuses with this status"},
		{"overruled", hour, "", []string{"Cache-Control: no-store"}, "Options.Expiry", "whatever the server says", "Options.Expiry", ""},
		{"credentials, private", private, "Authorization: Bearer x", []string{"Cache-Control: max-age=60"}, "max-age", "decides about Authorization", "RFC 9111 §2, Options.Key", ""},
		{"credentials, shared", shared, "Authorization: Bearer x", []string{"Cache-Control: max-age=60"}, "max-age", "would not be stored", "RFC 9111 §3.5", "must-revalidate in the response"},
		{"credentials, marked as shareable", shared, "Authorization: Bearer x", []string{"Cache-Control: max-age=60, public"}, "max-age", "marked as shareable, though the request has Authorization", "RFC 9111 §3.5", ""},
		{"no-store", private, "", []string{"Cache-Control: no-store"}, "", "would not be stored: no-store", "RFC 9111 §5.2.2.5", "without no-store"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := must(cache.New(test.o))
			defer c.Close()
			r := must(http.NewRequest("GET", url, nil))
			if name, value, ok := strings.Cut(test.request, ": "); ok {
				r.Header.Set(name, value)
			}
			x, err := c.ExplainResponse(t.Context(), r, reply(200, "a", test.response...))
			require.NoError(t, err)
			assert.Equal(t, test.from, x.LifetimeFrom)
			found := false
			for _, rule := range x.Rules {
				assert.NotEmpty(t, rule.Source, rule.Text)
				assert.False(t, x.Overruled && strings.HasPrefix(rule.Source, "RFC 9111 §5.2.2"), "what the server says counts for nothing: %v", rule)
				found = found || strings.Contains(rule.Text, test.rule) && rule.Source == test.source
			}
			assert.True(t, found, "%q (%s) in %v", test.rule, test.source, x.Rules)
			assert.Contains(t, strings.Join(x.Changes, "\n"), test.change)
			assert.False(t, test.name == "never stale" && len(x.Changes) > 0, "%q", x.Changes)
		})
	}
}

// A response of an archive is judged at the time that it was received at.
func TestExplainResponseAtCountsFromTheTimeOfReceipt(t *testing.T) {
	c := must(cache.New(cache.Options{}))
	defer c.Close()
	received := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)
	resp := reply(200, "a", "Date: Wed, 01 Jan 2020 11:59:50 GMT", "Expires: Wed, 01 Jan 2020 12:00:50 GMT")
	x, err := c.ExplainResponseAt(t.Context(), must(http.NewRequest("GET", url, nil)), resp, received)
	require.NoError(t, err)
	assert.Equal(t, [2]time.Duration{10 * time.Second, time.Minute}, [2]time.Duration{x.Age, x.FreshnessLifetime})
}

// What Explain foresees has its reasons as sentences, each with its section.
func TestExplainHasReasonsWithTheirSections(t *testing.T) {
	c := must(cache.New(cache.Options{}))
	defer c.Close()
	r := must(http.NewRequest("GET", url, nil))
	x, err := c.Explain(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, []cache.Reason{{Text: "Nothing was stored for the URI.", Source: "RFC 9111 §4"}}, x.Reasons)
	r.Header.Set("Cache-Control", "only-if-cached")
	x, err = c.Explain(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, "RFC 9111 §5.2.1.7", x.Reasons[0].Source)
}

// An error that what is stored stands in for is not stored, also where the request allows that.
func TestExplainResponseKnowsThatWhatIsStoredStandsIn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=5"), cache.Options{})
		g.get(url)
		time.Sleep(10 * time.Second)
		r := must(http.NewRequest("GET", url, nil))
		for _, test := range []struct {
			control string
			want    string
		}{
			{"stale-if-error=60", "an error, and what is stored stands in for it"},
			{"stale-if-error=1", ""},
			{"stale-if-error=60, no-cache", ""},
		} {
			r.Header.Set("Cache-Control", test.control)
			x, err := g.ExplainResponse(t.Context(), r, reply(500, "sorry", "Cache-Control: max-age=60"))
			require.NoError(t, err)
			assert.Equal(t, test.want, x.Reason, test.control)
		}
	})
}

// A tenth of the time since Last-Modified has fractions of a second that say nothing to a reader.
func TestExplainedHeuristicLifetimeHasWholeSeconds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{})
		defer g.Close()
		time.Sleep(333 * time.Millisecond)
		modified := time.Now().Add(-100 * time.Hour).UTC().Format(http.TimeFormat)
		x, err := g.ExplainResponse(t.Context(), g.request(url), reply(200, "x", "Last-Modified: "+modified))
		if want := "stored: fresh for 10h0m0s, of a lifetime of 10h0m0s\n"; err != nil || x.String() != want {
			t.Errorf("%v, %v; want %s", x, err, want)
		}
	})
}
