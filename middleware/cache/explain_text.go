package cache

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// String is the explanation as lines of text.
func (x *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n%s", x.Method, x.URL, x.Action)
	if x.Forward != "" {
		fmt.Fprintf(&b, "; fwd=%s", x.Forward)
	}
	if x.Detail != "" {
		fmt.Fprintf(&b, "; %s", x.Detail)
	}
	b.WriteByte('\n')
	if x.RefreshAhead > 0 {
		fmt.Fprintf(&b, "refreshed ahead with a probability of %.0f %%\n", 100*x.RefreshAhead)
	}
	if x.Fault != "" {
		fmt.Fprintf(&b, "the store cannot be read: %s\n", x.Fault)
	}
	for _, part := range x.Key {
		fmt.Fprintf(&b, "key: %s %s\n", part.Name, part.Value)
	}
	for i := range x.Stored {
		x.Stored[i].write(&b)
	}
	for _, change := range x.Changes {
		fmt.Fprintf(&b, "would change it: %s\n", change)
	}
	return b.String()
}

func (s *ExplainedStored) write(b *strings.Builder) {
	fmt.Fprintf(b, "stored: %d, %s\n", s.StatusCode, cmp.Or(s.Why, "selected"))
	left := "fresh for " + s.FreshFor.Round(time.Second).String()
	if s.FreshFor <= 0 {
		left = "stale for " + (-s.FreshFor).Round(time.Second).String()
	}
	fmt.Fprintf(b, "  age %v of %v, %s\n", s.Age.Round(time.Second), shownLifetime(s.FreshnessLifetime), left)
	for _, rule := range []struct {
		on   bool
		text string
	}{
		{s.NoCache, "no-cache"}, {s.MustRevalidate, "must-revalidate"}, {s.Immutable, "immutable"}, {s.Sliding, "sliding lifetime"},
		{s.StaleWhileRevalidate > 0, "stale-while-revalidate " + s.StaleWhileRevalidate.String()}, {s.StaleIfError > 0, "stale-if-error " + s.StaleIfError.String()},
		{s.EventStream != "", "event stream, " + s.EventStream}, {s.ETag != "", "ETag " + s.ETag}, {s.LastModified != "", "Last-Modified " + s.LastModified},
	} {
		if rule.on {
			fmt.Fprintf(b, "  %s\n", rule.text)
		}
	}
	for _, f := range s.Varies {
		verb := "is not"
		if f.Matches {
			verb = "matches"
		}
		fmt.Fprintf(b, "  varies on %s: %s %s %s\n", f.Name, f.Request, verb, f.Stored)
	}
}

// shownLifetime is a lifetime as people read it: a heuristic one (RFC 9111 §4.2.2) has fractions of a second that say nothing.
func shownLifetime(d time.Duration) time.Duration {
	if d < time.Minute {
		return d
	}
	return d.Round(time.Second)
}
