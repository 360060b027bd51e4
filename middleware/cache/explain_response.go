package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// A StoringExplanation says whether a cache would store a response, and why not. Its text, by String, is for people; its fields, which marshal as JSON, for programs.
type StoringExplanation struct {
	Stored bool
	Reason string // why it is not stored, in the words of Cache-Status, or empty
	Source string // the section that says so, such as "RFC 9111 §3", or what else decides

	Age               time.Duration // on receipt (RFC 9111 §4.2.3)
	FreshnessLifetime time.Duration // RFC 9111 §4.2.1
	LifetimeFrom      string        // what gives the lifetime: "s-maxage", "max-age", "Expires", "Last-Modified" (a heuristic), "Options.Expiry", or empty for none
	Overruled         bool          // the expiry strategy decides in the server's place
	Varies            []string      // the request fields that it would be selected by (RFC 9111 §4.1)
	Tags              int           // how many tags Options.Tags has given it

	// Of a response that is stored:
	StaleWhileRevalidate, StaleIfError time.Duration // RFC 5861
	NoCache, MustRevalidate, Immutable bool
	ETag, LastModified                 string // its validators (RFC 9110 §8.8)

	Rules   []Reason // what decides whether, for how long and for whom it is stored, each with its section
	Changes []string // what would change it
}

// String is the explanation as lines of text.
func (x *StoringExplanation) String() string {
	if !x.Stored {
		return fmt.Sprintf("not stored: %s (%s)\n", x.Reason, x.Source)
	}
	text := fmt.Sprintf("stored: fresh for %v, of a lifetime of %v\n", (x.FreshnessLifetime - x.Age).Round(time.Second), shownLifetime(x.FreshnessLifetime))
	if x.Overruled {
		text += "  the expiry strategy overrules the server\n"
	}
	for _, name := range x.Varies {
		text += "  varies on " + name + "\n"
	}
	return text
}

// ExplainResponse says whether the cache would store a response of the origin to r that was received now, and why not. Like [Cache.Explain] it changes nothing:
// resp is not stored, its body is not read. What is known only with the body's end is left out: that it breaks off, that its bytes are too many, [Options.FilterBody];
// and so is what a layer below the cache has added to the request.
// An error says that r has no URL with a scheme and a host, or that there is no response.
func (c *Cache) ExplainResponse(ctx context.Context, r *http.Request, resp *http.Response) (*StoringExplanation, error) {
	return c.ExplainResponseAt(ctx, r, resp, time.Now())
}

// ExplainResponseAt is [Cache.ExplainResponse] for a response that was received at another time: one of an archive, whose dates are of that time.
func (c *Cache) ExplainResponseAt(ctx context.Context, r *http.Request, resp *http.Response, received time.Time) (*StoringExplanation, error) {
	switch {
	case r == nil || !located(r):
		return nil, errNoHost
	case resp == nil:
		return nil, errors.New("cache: explain: no response: give one of the origin")
	}
	s := c.foresee(ctx, r, received)
	shown := *resp
	if shown.Request = r; shown.Body == nil {
		shown.Body = http.NoBody
	}
	if shown.Header == nil {
		shown.Header = http.Header{}
	}
	p := &originResponse{
		exchange: (&layer{cache: c}).newExchange(r, &s.parsed, s.key, s.lookup, received), Response: &shown, requested: received, received: received, foreseen: s,
	}
	e, reason := p.foreseenEntry()
	x := &StoringExplanation{Stored: reason == "", Reason: redact.Text(reason), Age: rfc9111.InitialAge(shown.Header, received, received)}
	judged := c.judge(r, &shown, x.Age, received)
	x.Overruled, x.FreshnessLifetime = judged.Verdict.Overrules(), judged.Verdict.For(x.Age)
	x.LifetimeFrom = c.lifetimeFrom(&shown, x, received)
	if reason != "" {
		x.Source = sourceOf(reason)
	} else {
		for _, selector := range e.Selectors {
			x.Varies = append(x.Varies, selector.Name)
		}
		x.FreshnessLifetime, x.Tags = e.Rules.Lifetime, int(p.tagged)
		x.StaleWhileRevalidate, x.StaleIfError = e.Rules.StaleWhileRevalidate, e.Rules.StaleIfError
		x.NoCache, x.MustRevalidate, x.Immutable = e.Rules.NoCache, e.Rules.MustRevalidate, e.Rules.Immutable
		x.ETag, x.LastModified = shown.Header.Get("Etag"), shown.Header.Get("Last-Modified")
	}
	x.Rules, x.Changes = c.storingRules(s, x), storingChanges(x)
	return x, nil
}

// foreseenEntry is the entry that the response would be stored as, or why it would not be.
func (p *originResponse) foreseenEntry() (*stored.Entry, string) {
	if reason := p.refusedByRequest(); reason != "" {
		return nil, reason
	}
	if rfc9111.IsServerError(p.StatusCode) && p.parsed.Bypass == "" {
		if _, stands := rfc9111.OnError(p.parsed, p.selected, false, &p.cache.policy, p.received); stands {
			return nil, "an error, and what is stored stands in for it"
		}
	}
	e, reason := p.entry()
	if reason == "" && rfc9111.DisplacesServable(p.selected, e, &p.cache.policy, p.received) {
		reason = "an error, and what is stored can still be served"
	}
	return e, reason
}

// refusedByRequest says why no answer to the request is stored, or is empty.
func (p *originResponse) refusedByRequest() string {
	switch a := p.parsed; {
	case !a.MayStore() && a.Bypass != "":
		return a.Bypass
	case !a.MayStore():
		return "mode " + a.Mode.String()
	case a.Head && a.Bypass == "":
		return "an answer to HEAD has no content"
	}
	return ""
}

// sources are where the reasons come from for which responses are not stored, by how these begin. What is not there is the cache's own rule.
var sources = []struct{ reason, source string }{
	{"no-store", "RFC 9111 §5.2.2.5"},
	{"request no-store", "RFC 9111 §5.2.1.5"},
	{"private", "RFC 9111 §5.2.2.7"},
	{"authorization", "RFC 9111 §3.5"},
	{"cookie", "RFC 9111 §3.5, for every credential"},
	{"credentials,", "RFC 9111 §3.5, for every credential"},
	{"set-cookie", "RFC 9111 §7.3"},
	{"vary", "RFC 9111 §4.1"},
	{"varies", "RFC 9111 §4.1"},
	{"must-understand", "RFC 9111 §5.2.2.3"},
	{"status not final", "RFC 9111 §3"},
	{"status not cacheable", "RFC 9111 §3, RFC 9110 §15.1"},
	{"no explicit freshness", "RFC 9111 §3, RFC 9110 §15.1"},
	{"no freshness, no validator", "RFC 9111 §4.2, §4.3"},
	{"expires immediately", "RFC 9111 §4.2, §4.3, and Options.Expiry"},
	{"method", "RFC 9111 §3, RFC 9110 §9.2.3"},
	{"304", "RFC 9111 §4.3.3"},
	{"partial content", "RFC 9111 §3.3"},
	{"the answer to a condition", "RFC 9110 §13, §14"},
	{"the body ends with the connection", "RFC 9112 §8"},
	{"the body broke off", "RFC 9112 §8"},
	{"the body is", "RFC 9112 §8"},
	{"the body was not read to its end", "RFC 9111 §3.3"},
	{"the connection was not verified", "NamedConnection"},
	{"the connection goes to a socket", "NamedConnection"},
	{unnamedConnection, "NamedConnection"},
	{"the store ", "Options.Store"},
	{"response exceeds the store", "Options.Store"},
	{"a field of the response is one that no store takes", "Options.Store"},
	{"a later version of this module", "Options.Store"},
	{"invalidated meanwhile", "RFC 9111 §4.4"},
	{credentialsBelow, "RFC 9111 §3.5"},
	{setBelow, "RFC 9111 §4.1"},
	{"an answer to HEAD", "RFC 9110 §9.3.2"},
	{"more than 128 cache groups", "RFC 9875 §2"},
	{"connection names", "RFC 9110 §7.6.1"},
	{"an error, and what is stored", "RFC 5861 §4"},
	{"expiry says", "Options.Expiry"},
	{"an error without a lifetime", "Options.Expiry"},
	{"status not allowed", "Options.Statuses"},
	{"filter", "Options.Filter"},
	{"event stream", "Options.EventStreams"},
	{"the event stream", "Options.EventStreams"},
	{"body exceeds MaxEntryBytes", "Options.MaxEntryBytes"},
	{"body exceeds what FilterBody", "Options.FilterBody"},
	{"the copies in flight", "Options.MaxInFlightBytes"},
	{"no key", "Options.Key"},
	{"more than 128 tags", "Options.Tags"},
	{"a tag exceeds", "Options.Tags"},
	{"mode ", "WithMode, Options.Mode"},
	{"disabled", "Disable"},
	{"switched off", "Cache.SetEnabled"},
	{"401 answers a credential that can be renewed", "RFC 9110 §11.6.1, for package auth"},
	{"a handler below the cache followed a redirect", "RFC 9111 §2: the response is for another URI"},
	{"header exceeds 64 KiB", "a rule of this cache"},
	{"unsafe", "Options.Unsafe"},
}

func sourceOf(reason string) string {
	for _, s := range sources {
		if strings.HasPrefix(reason, s.reason) {
			return s.source
		}
	}
	return "a rule of this cache"
}
