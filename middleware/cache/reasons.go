package cache

import (
	"net/http"
	"strings"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// A Reason is one thing that decided what a cache did for a request.
type Reason struct {
	Text   string // a sentence for people
	Source string // the section that says so, such as "RFC 9111 §4.2", or what else decides: an option, or a rule of this cache
}

// Reasons explains a status: why the request was answered from the store or forwarded, what the origin's answer meant, and why that was stored or not.
// Each reason names the section of the RFC that it comes from. The texts are for people and may change.
func (s Status) Reasons() []Reason {
	var all []Reason
	parts := s.parts()
	decided := false // by the detail, which says more than the word for the forward
	for _, part := range parts {
		decided = decided || !strings.HasPrefix(part, notStored) && !strings.HasPrefix(part, cachestatus.ServedInstead) && !strings.HasPrefix(part, "fetched by") && !strings.HasPrefix(part, "event stream")
	}
	if !decided || s.Fwd == ForwardBypass || s.Fwd == ForwardMethod {
		all = append(all, s.whyForwarded()...)
	}
	for _, part := range parts {
		all = append(all, reasonOf(part))
	}
	if s.Collapsed {
		all = append(all, Reason{"The request shared the answer to another one that was under way.", "RFC 9111 §4, RFC 9211 §2.6"})
	}
	if s.Fwd != "" && s.FwdStatus == http.StatusNotModified {
		all = append(all, Reason{"The origin answered 304: what is stored still holds, and its header was brought up to date.", "RFC 9111 §4.3.3, §4.3.4"})
	}
	if s.Stored && s.FwdStatus != http.StatusNotModified {
		all = append(all, Reason{"The response is stored once its body, of Options.MaxEntryBytes at most, has been read to its end.", "RFC 9111 §3"})
	}
	return all
}

// parts are the parts of a detail.
func (s Status) parts() []string {
	if s.Detail == "" {
		return nil
	}
	parts := strings.Split(s.Detail, "; ")
	for i, part := range parts {
		if strings.HasPrefix(part, notStored) { // its own text may have a semicolon
			return append(parts[:i:i], strings.Join(parts[i:], "; "))
		}
	}
	return parts
}

// notStored begins the part of a detail that says why a response was not stored.
const notStored = "not stored: "

// whyForwarded explains a status without a detail: what the store had.
func (s Status) whyForwarded() []Reason {
	switch {
	case s.Hit && s.HasTTL && s.TTL <= 0:
		return []Reason{{"The stored response is stale, and was served nevertheless.", "RFC 9111 §4.2.4"}}
	case s.Hit:
		return []Reason{{"The stored response is fresh.", "RFC 9111 §4.2"}}
	}
	if r, known := forwards[s.Fwd]; known {
		return []Reason{r}
	}
	return nil
}

// forwards are the reasons of RFC 9211 §2.2, with the section that has each of them as a rule.
var forwards = map[Forward]Reason{
	ForwardBypass:  {"The cache kept out of this request.", "RFC 9211 §2.2"},
	ForwardMethod:  {"No stored response may answer this method.", "RFC 9111 §4, RFC 9110 §9.2.3"},
	ForwardURIMiss: {"Nothing was stored for the URI.", "RFC 9111 §4"},
	ForwardVary:    {"What is stored for the URI was made for other header fields of the request.", "RFC 9111 §4.1"},
	ForwardMiss:    {"What is stored was not enough to answer the request.", "RFC 9111 §4"},
	ForwardRequest: {"The request itself asked for the origin's answer.", "RFC 9111 §5.2.1"},
	ForwardStale:   {"The stored response is stale, so that the origin had to be asked.", "RFC 9111 §4.2.4, §4.3"},
	ForwardPartial: {"Only a part of the representation was stored.", "RFC 9111 §3.3"},
}

// reasonOf explains one part of a detail.
func reasonOf(part string) Reason {
	if why, ok := strings.CutPrefix(part, notStored); ok {
		return Reason{"The response was not stored: " + why + ".", sourceOf(why)}
	}
	if why, ok := strings.CutPrefix(part, cachestatus.ServedInstead); ok {
		return insteadOf(why)
	}
	if why, ok := strings.CutPrefix(part, "only-if-cached, "); ok {
		if cause, unusable := strings.CutPrefix(why, "stored response cannot be used: "); unusable {
			why = "the stored response cannot be used"
			if cause != "" {
				why += " (" + cause + ")"
			}
		}
		return Reason{"Only the store was allowed to answer, and could not: " + why + ".", "RFC 9111 §5.2.1.7"}
	}
	for _, r := range details {
		if strings.HasPrefix(part, r.detail) {
			return r.Reason
		}
	}
	return Reason{part, "a rule of this cache"}
}

// insteadOf explains why a stored response stood in for a failed exchange.
func insteadOf(why string) Reason {
	for _, r := range standIns {
		if r.detail == why {
			return r.Reason
		}
	}
	return Reason{"The exchange failed, and the stored response stood in for it: " + why + ".", "RFC 9111 §4.2.4"}
}

type detailed struct {
	detail string // how the detail begins
	Reason
}

var standIns = []detailed{
	{"fresh", Reason{"The exchange failed, and the stored response is still fresh.", "RFC 9111 §4.2"}},
	{"stale-if-error", Reason{"The exchange failed, and the response's stale-if-error allows the stored one in its place.", "RFC 5861 §4"}},
	{"request stale-if-error", Reason{"The exchange failed, and the request's stale-if-error allows the stored response in its place.", "RFC 5861 §4"}},
	{"origin unreachable", Reason{"The origin could not be reached, and a disconnected cache may serve what is stale.", "RFC 9111 §4.2.4"}},
}

// details are what a detail says beside why a response was not stored. A prefix of another one stands behind it.
var details = []detailed{
	{"request has content", Reason{"The request has content, which is no part of the key.", "RFC 9110 §9.3.1"}},
	{"request no-store", Reason{"The request's no-store keeps the cache out.", "RFC 9111 §5.2.1.5"}},
	{"request no-cache", Reason{"The request's no-cache asks for a validation.", "RFC 9111 §5.2.1.4, §5.4"}},
	{"request max-age", Reason{"The stored response is older than the request's max-age allows.", "RFC 9111 §5.2.1.1"}},
	{"request min-fresh", Reason{"The stored response is not fresh for as long as the request's min-fresh demands.", "RFC 9111 §5.2.1.3"}},
	{"no-cache", Reason{"The response's no-cache has each use validated.", "RFC 9111 §5.2.2.4"}},
	{"max-stale", Reason{"The request's max-stale accepts a stale response.", "RFC 9111 §5.2.1.2"}},
	{"stale-while-revalidate", Reason{"The response's stale-while-revalidate lets it be served while the origin is asked in the background.", "RFC 5861 §3"}},
	{"other variants offered", Reason{"Other variants are stored, and the origin was offered their validators.", "RFC 9111 §4.1, §4.3.1"}},
	{"refresh ahead", Reason{"A fresh response was refreshed before it could become stale.", "expiry.Ahead"}},
	{"reload", Reason{"The request's mode demanded the origin's answer, whatever is stored.", "WithMode, Options.Mode"}},
	{"mode ", Reason{"The mode of the request or of the cache decided.", "WithMode, Options.Mode"}},
	{"disabled", Reason{"The program has disabled the cache for this request.", "Disable"}},
	{"switched off", Reason{"The program has switched the cache off.", "Cache.SetEnabled"}},
	{"method override", Reason{"A field of the request overrides its method, so that the method does not say what it does.", "RFC 9110 §9.2.1"}},
	{"method", Reason{"No stored response may answer this method.", "RFC 9111 §4, RFC 9110 §9.2.3"}},
	{"unsafe", Reason{"The program says that this request is unsafe.", "Options.Unsafe"}},
	{"Last-Event-ID", Reason{"The request resumes an event stream, which only the origin can do.", "HTML §9.2.4"}},
	{"no key", Reason{"The request has no key: a strategy could not make one.", "Options.Key"}},
	{unnamedConnection, Reason{"The connection has no name that other processes would know, so that the shared store is left alone.", "NamedConnection"}},
	{"upgrade", Reason{"The request asks for another protocol.", "RFC 9110 §7.8"}},
	{"precondition for the origin", Reason{"The request has a precondition that only the origin can evaluate.", "RFC 9110 §13.1"}},
	{"a range that the origin has to answer", Reason{"The request asks for a range that only the origin can answer.", "RFC 9110 §14.2"}},
	{"the stored part does not fit", Reason{"The part that the origin sent does not fit the stored one, so that the whole was fetched.", "RFC 9111 §3.4"}},
	{"the stored body is gone", Reason{"The stored response still holds, but its body has been lost, so that the whole was fetched.", "Options.Store"}},
	{"event stream", Reason{"The response is an event stream, which the cache replays.", "Options.EventStreams"}},
	{"fetched by another process", Reason{"Another process that shares the store fetched the response.", "Options.Lease"}},
	{"the origin answered others so", Reason{"The origin answered other requests with an error that is not to be shared, and was spared this one.", "a rule of this cache"}},
	{credentialsBelow, Reason{"A layer below the cache added credentials, so that the answer is not for others.", "RFC 9111 §3.5"}},
	{setBelow, Reason{"A layer below the cache set a field that the response varies on, so that the cache cannot know for whom the answer is.", "RFC 9111 §4.1"}},
}
