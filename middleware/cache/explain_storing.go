package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/freshness"
)

// lifetimeFrom names what gives a response its lifetime.
func (c *Cache) lifetimeFrom(resp *http.Response, x *StoringExplanation, received time.Time) string {
	if x.Overruled {
		return "Options.Expiry"
	}
	return freshness.Of(freshness.Response{
		Status: resp.StatusCode, Header: resp.Header, Received: received, Shared: c.policy.Shared, Targeted: c.policy.Targeted,
	}).From
}

// lifetimes are the rules by which a response gets its lifetime, by what it comes from.
var lifetimes = map[string]Reason{
	"s-maxage":       {"s-maxage gives a shared cache the lifetime.", "RFC 9111 §4.2.1, §5.2.2.10"},
	"max-age":        {"max-age gives the lifetime.", "RFC 9111 §4.2.1, §5.2.2.1"},
	"Expires":        {"Expires gives the lifetime, counted from Date.", "RFC 9111 §4.2.1, §5.3"},
	"Last-Modified":  {"The server gives no lifetime: a tenth of the time since Last-Modified is taken, one week at most.", "RFC 9111 §4.2.2"},
	"Options.Expiry": {"The expiry strategy gives the lifetime, whatever the server says.", "Options.Expiry"},
	"":               {"Nothing gives a lifetime, so the response is stale at once, and the origin is asked again.", "RFC 9111 §4.2.4, §4.3"},
}

// storingRules are the rules that decide whether, for how long and for whom a response is stored.
func (c *Cache) storingRules(s *foreseen, x *StoringExplanation) (rules []Reason) {
	say := func(when bool, text, source string) {
		if when {
			rules = append(rules, Reason{text, source})
		}
	}
	if !x.Stored {
		return []Reason{{"The response would not be stored: " + x.Reason + ".", x.Source}}
	}
	say(true, "The response would be stored.", "RFC 9111 §3")
	asked := x.Overruled && x.NoCache // by the strategy: what the server says does not count
	if !asked {
		rules = append(rules, lifetimes[x.LifetimeFrom])
	}
	say(x.Age.Round(time.Second) > 0, "It is "+x.Age.Round(time.Second).String()+" old on receipt, by Age or Date.", "RFC 9111 §4.2.3")
	say(asked, "The expiry strategy has each use validated, whatever the server says.", "Options.Expiry")
	say(x.NoCache && !asked, "no-cache: each use needs a validation.", "RFC 9111 §5.2.2.4")
	say(x.MustRevalidate && !c.policy.Shared, "must-revalidate: it is never served stale.", "RFC 9111 §5.2.2.2")
	say(x.MustRevalidate && c.policy.Shared, "must-revalidate, proxy-revalidate or s-maxage: it is never served stale.", "RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10")
	say(x.Immutable, "immutable: while it is fresh, a reload does not validate it.", "RFC 8246 §2")
	stale := !x.MustRevalidate && !x.NoCache
	say(stale && x.StaleWhileRevalidate > 0, "For "+x.StaleWhileRevalidate.String()+" beyond its lifetime it is served while it is refreshed in the background.", "RFC 5861 §3")
	say(stale && x.StaleIfError > 0, "For "+x.StaleIfError.String()+" beyond its lifetime it is served in place of an error.", "RFC 5861 §4")
	say(x.ETag != "" || x.LastModified != "", "Once stale it can be validated by a conditional request.", "RFC 9111 §4.3.1")
	say(x.ETag == "" && x.LastModified == "", "It has no validator: once stale it is fetched whole.", "RFC 9110 §8.8")
	say(len(x.Varies) > 0, "Only a request with the same "+strings.Join(x.Varies, ", ")+" gets it.", "RFC 9111 §4.1")
	return append(rules, c.audience(s))
}

// audience says who gets a stored response.
func (c *Cache) audience(s *foreseen) Reason {
	var names []string
	for name := range s.request.Header {
		if credential.Named(name) {
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(names)
	switch who := strings.Join(names, ", "); {
	case s.parsed.Principal != "":
		return Reason{"It is for this principal alone.", "WithPrincipal"}
	case c.policy.Shared && who != "":
		return Reason{"It is for everyone whose request has the same key, for it is marked as shareable, though the request has " + who + ".", "RFC 9111 §3.5"}
	case c.policy.Shared:
		return Reason{"It is for everyone whose request has the same key.", "RFC 9111 §1, §2"}
	case who != "":
		return Reason{"The cache is private, and its key strategy decides about " + who + ": the default keeps it for requests with the same.", "RFC 9111 §2, Options.Key"}
	}
	return Reason{"The cache is private: it is for the requests of this client with the same key.", "RFC 9111 §1, §2"}
}

// storingChanges says what would change whether and for how long a response is stored.
func storingChanges(x *StoringExplanation) (changes []string) {
	say := func(when bool, what string) {
		if when {
			changes = append(changes, what)
		}
	}
	if !x.Stored {
		for _, r := range remedies {
			if strings.HasPrefix(x.Reason, r.reason) {
				return []string{r.change}
			}
		}
		return []string{"see " + x.Source}
	}
	say(x.LifetimeFrom == "" || x.LifetimeFrom == "Last-Modified", "a lifetime of the server's: Cache-Control: max-age (RFC 9111 §5.2.2.1)")
	say(x.NoCache && !x.Overruled, "a response without no-cache, or an expiry strategy that overrules the server")
	say(x.NoCache && x.Overruled, "another expiry strategy")
	say(x.LifetimeFrom != "" && !x.NoCache && x.FreshnessLifetime <= x.Age, "a lifetime that is longer than the age on receipt")
	say(x.ETag == "" && x.LastModified == "", "an ETag or Last-Modified, so that it can be validated once stale (RFC 9110 §8.8)")
	say(!x.MustRevalidate && !x.NoCache && x.StaleWhileRevalidate == 0 && x.FreshnessLifetime < freshness.Forever, "stale-while-revalidate, so that nothing waits when it goes stale (RFC 5861 §3)")
	return changes
}

// remedies are what would have a response stored, by how the reason begins for which it is not.
var remedies = []struct{ reason, change string }{
	{"no-store", "a response without no-store, or an expiry strategy that overrules the server"},
	{"request no-store", "a request without no-store"},
	{"private", "a private cache, or a response without private"},
	{"authorization", "a private cache; or public, s-maxage or must-revalidate in the response"},
	{"cookie", "a private cache; or public or s-maxage in the response"},
	{"credentials,", "a private cache; or public or s-maxage in the response"},
	{"set-cookie", "a private cache, or a response without Set-Cookie"},
	{"vary *", "a Vary that names the request fields that decide"},
	{"must-understand", "a response without must-understand, or with a status that the cache understands"},
	{"no freshness, no validator", "a lifetime (Cache-Control: max-age) or a validator (ETag, Last-Modified)"},
	{"no explicit freshness", "a lifetime: Cache-Control: max-age, or Expires"},
	{"expires immediately", "a validator (ETag, Last-Modified), or another expiry strategy"},
	{"method", "a GET; or Options.Methods, for a method that only queries"},
	{"an answer to HEAD", "a GET"},
	{"partial content", "a request for one range, answered with Content-Range and Content-Length"},
	{"the body ends with the connection", "a Content-Length, or chunked transfer coding"},
	{"event stream", "Options.EventStreams"},
	{"body exceeds MaxEntryBytes", "a larger Options.MaxEntryBytes"},
	{"connection names", "a Connection that does not name what governs caches"},
	{"an error, and what is stored", "the end of what is stored, or a status other than an error"},
	{"expiry says", "another expiry strategy"},
	{"an error without a lifetime", "a lifetime (Cache-Control: max-age), or another expiry strategy"},
	{"status not allowed", "Options.Statuses with this status"},
	{"status not cacheable", "a lifetime (Cache-Control: max-age), or expiry.ByStatus with this status"},
	{"status not final", "a final response"},
	{"filter", "an Options.Filter that lets it through"},
	{"304", "a request without conditions"},
	{"the answer to a condition", "a request without conditions and ranges"},
	{"mode ", "another mode: WithMode, or Options.Mode"},
	{"disabled", "a request for which the cache is not disabled"},
	{"unsafe", "an Options.Unsafe that does not call the request unsafe"},
	{"more than 128 tags", "fewer tags from Options.Tags"},
	{"more than 128 cache groups", "fewer Cache-Groups in the response"},
	{"varies", "a Vary with fewer fields"},
	{setBelow, "the field set above the cache, or Options.OneIdentityBelow"},
}
