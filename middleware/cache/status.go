package cache

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// A Forward says why a request was forwarded to the origin, in the words of RFC 9211 §2.2.
type Forward string

// The reasons for which a request is forwarded.
const (
	ForwardBypass  Forward = cachestatus.FwdBypass  // the request, or the cache's own settings, bypassed it
	ForwardMethod  Forward = cachestatus.FwdMethod  // the method cannot be answered from a store
	ForwardURIMiss Forward = cachestatus.FwdURIMiss // nothing is stored for the URI
	ForwardVary    Forward = cachestatus.FwdVary    // what is stored for the URI was made for other request fields
	ForwardMiss    Forward = cachestatus.FwdMiss    // what is stored is not enough
	ForwardRequest Forward = cachestatus.FwdRequest // the request's own directives demand it
	ForwardStale   Forward = cachestatus.FwdStale   // what is stored is stale
	ForwardPartial Forward = cachestatus.FwdPartial // only a part is stored
)

// A Status says what the cache did for a response, as its Cache-Status field has it (RFC 9211 §2).
type Status struct {
	Hit bool // answered from the store, without asking the origin

	Fwd       Forward // why the origin was asked, or empty
	FwdStatus int     // the status that the origin answered with, or 0 if it did not

	Stored    bool // the response was taken into the store, or will be when it has been read to its end
	Collapsed bool // the request shared another one's answer

	TTL    time.Duration // remaining freshness in whole seconds; zero or less if the response is stale
	HasTTL bool          // TTL is known

	Detail string // for people: why it was stored, not stored, forwarded or served stale
}

// Outcome names what happened in one word: "hit", "stale" (answered from the store past its freshness),
// "revalidated" (the origin confirmed what is stored, or what the caller has in its place), "refreshed" (the origin replaced it), "miss",
// "bypassed" (the cache was not used) or "refused" (only the store was allowed, and had nothing).
// Records of calls, logs and telemetry use the same words, and [Stats] counts by them. The zero Status, that of a response which no cache has seen, has none: "".
func (s Status) Outcome() string {
	if s == (Status{}) {
		return ""
	}
	return s.member().Word()
}

// String writes the status as a member of Cache-Status.
func (s Status) String() string { return s.member().String() }

// member is the status as package cachestatus writes it.
func (s Status) member() cachestatus.Status {
	return cachestatus.Status{
		Hit: s.Hit, Fwd: string(s.Fwd), FwdStatus: s.FwdStatus, Stored: s.Stored, Collapsed: s.Collapsed,
		TTL: s.TTL, HasTTL: s.HasTTL, Detail: s.Detail,
	}
}

// StatusOf reads what a ply cache did for resp. It is false if no ply cache took part.
// A response can pass several caches; the one nearest to the caller is read.
func StatusOf(resp *http.Response) (Status, bool) {
	if resp == nil {
		return Status{}, false
	}
	s, ok := cachestatus.Last(resp.Header)
	return statusFrom(s), ok
}

func statusFrom(s cachestatus.Status) Status {
	return Status{
		Hit: s.Hit, Fwd: Forward(s.Fwd), FwdStatus: s.FwdStatus, Stored: s.Stored, Collapsed: s.Collapsed,
		TTL: s.TTL, HasTTL: s.HasTTL, Detail: s.Detail,
	}
}
