package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
)

// cacheStatus is the field that tells what the cache did (RFC 9211).
const cacheStatus = "Cache-Status"

// cacheName is this cache's name in that field.
const cacheName = cachestatus.Name

// A Forward says why a request was forwarded to the origin, in the words of RFC 9211 §2.2.
type Forward string

// The reasons for which a request is forwarded.
const (
	ForwardBypass  Forward = "bypass"    // the cache was told to keep out
	ForwardMethod  Forward = "method"    // the method cannot be answered from a store
	ForwardURIMiss Forward = "uri-miss"  // nothing is stored for the URI
	ForwardVary    Forward = "vary-miss" // what is stored for the URI was made for other request fields
	ForwardMiss    Forward = "miss"      // what is stored does not suffice
	ForwardRequest Forward = "request"   // the request's own directives demand it
	ForwardStale   Forward = "stale"     // what is stored is stale
	ForwardPartial Forward = "partial"   // only a part is stored
)

// A Status says what the cache did for a response, as its Cache-Status field tells it (RFC 9211 §2).
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
// "bypassed" (the cache kept out) or "refused" (only the store was allowed, and had nothing).
// Records of calls, logs and telemetry use the same words, and [Stats] counts by them.
func (s Status) Outcome() string {
	return cachestatus.Status{
		Hit: s.Hit, Fwd: string(s.Fwd), FwdStatus: s.FwdStatus, Stored: s.Stored, Collapsed: s.Collapsed,
		TTL: s.TTL, HasTTL: s.HasTTL, Detail: s.Detail,
	}.Word()
}

// String writes the status as a member of Cache-Status.
func (s Status) String() string {
	var room [128]byte
	return string(s.append(room[:0]))
}

func (s *Status) append(b []byte) []byte {
	b = append(b, cacheName...)
	if s.Hit {
		b = append(b, "; hit"...)
	}
	if s.Fwd != "" {
		b = append(append(b, "; fwd="...), s.Fwd...)
	}
	if s.FwdStatus != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(s.FwdStatus), 10)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	if s.HasTTL {
		b = strconv.AppendInt(append(b, "; ttl="...), int64(s.TTL/time.Second), 10)
	}
	if s.Detail != "" {
		b = appendQuoted(append(b, "; detail="...), s.Detail)
	}
	return b
}

// appendQuoted writes a structured-field string (RFC 9651 §3.3.3). What it cannot hold becomes a question mark.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c > 0x7e:
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
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

// withoutForgery returns h without members of Cache-Status that claim to be this cache's.
func withoutForgery(h http.Header) http.Header {
	lines := h[cacheStatus]
	if len(lines) == 0 {
		return h
	}
	h = h.Clone()
	if h[cacheStatus] = foreign(lines); h[cacheStatus] == nil {
		delete(h, cacheStatus)
	}
	return h
}

// foreign returns the Cache-Status of a response as it came in, without members that claim to be this cache's (RFC 9211 §2).
func foreign(lines []string) []string {
	var kept []string
	for member := range field.Members(lines) {
		if name, _ := cachestatus.Cut(member); !field.EqualFold(strings.Trim(name, `"`), cacheName) {
			kept = append(kept, member)
		}
	}
	return kept
}
