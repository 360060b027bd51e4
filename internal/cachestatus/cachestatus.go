// Package cachestatus reads and writes what a ply cache says in Cache-Status (RFC 9211). The cache itself, the record of a call, logs and telemetry
// all use it, so that they agree on one word for what a cache did.
package cachestatus

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// Field is the field that says what a cache did (RFC 9211 §2).
const Field = "Cache-Status"

// Name is the cache's name in the field.
const Name = "ply"

// Why a request was forwarded (RFC 9211 §2.2).
const (
	FwdBypass  = "bypass"    // the cache was told to keep out
	FwdMethod  = "method"    // the method cannot be answered from a store
	FwdURIMiss = "uri-miss"  // nothing is stored for the URI
	FwdVary    = "vary-miss" // what is stored for the URI was made for other request fields
	FwdMiss    = "miss"      // what is stored does not suffice
	FwdRequest = "request"   // the request's own directives demand it
	FwdStale   = "stale"     // what is stored is stale
	FwdPartial = "partial"   // only a part is stored
)

// Status is one member of the field (RFC 9211 §2).
type Status struct {
	Hit               bool
	Fwd               string
	FwdStatus         int
	Stored, Collapsed bool
	TTL               time.Duration // in whole seconds
	HasTTL            bool
	Detail            string
}

// ServedInstead is the prefix of the detail of a stored response that was served in place of a failed exchange.
const ServedInstead = "served from store: "

// Word returns the outcome:
//
//	hit          answered from the store, fresh
//	stale        answered from the store, past its freshness
//	revalidated  the origin confirmed what is stored, or what the caller has in its place
//	refreshed    the origin replaced it
//	miss         nothing usable was stored
//	bypassed     the cache kept out
//	refused      only the store was allowed, and had nothing
func (s Status) Word() string {
	instead := strings.HasPrefix(s.Detail, ServedInstead)
	switch {
	case s.Hit && s.HasTTL && s.TTL <= 0, instead && !(s.HasTTL && s.TTL > 0):
		return "stale"
	case s.Hit, instead:
		return "hit"
	}
	switch {
	case s.Fwd == "":
		return "refused"
	case s.Fwd == FwdBypass, s.Fwd == FwdMethod:
		return "bypassed"
	case s.Fwd == FwdURIMiss:
		return "miss"
	case s.FwdStatus == http.StatusNotModified:
		return "revalidated"
	case s.Fwd == FwdStale, s.Fwd == FwdRequest:
		return "refreshed"
	}
	return "miss"
}

// Of reads the member that the nearest ply cache wrote. status is its [Status.Word]; reason is the cache's detail, or else why it forwarded the request.
// Both are empty if the last member is not from a ply cache.
func Of(h http.Header) (status, reason string) {
	s, ok := Last(h)
	if !ok {
		return "", ""
	}
	return s.Word(), s.Reason()
}

// Reason is the detail, or else why the request was forwarded, and whether it was collapsed with others.
func (s Status) Reason() string {
	reason := s.Detail
	if reason == "" {
		reason = s.Fwd
	}
	if s.Collapsed {
		reason = strings.TrimPrefix(reason+", collapsed", ", ")
	}
	return reason
}

// Last reads the last member, which the cache nearest to the caller wrote. It reports false if that is not a ply cache.
func Last(h http.Header) (Status, bool) {
	lines := h[Field]
	if len(lines) == 0 {
		return Status{}, false
	}
	var last string
	for member := range field.Members(lines) {
		last = member
	}
	return Parse(last)
}

// Parse reads one member. It reports false if no ply cache wrote it.
func Parse(member string) (s Status, ok bool) {
	name, rest := Cut(member)
	if name != Name {
		return s, false
	}
	for rest != "" {
		var parameter string
		parameter, rest = Cut(rest)
		key, value, _ := strings.Cut(parameter, "=")
		s.set(key, value)
	}
	return s, true
}

func (s *Status) set(key, value string) {
	switch key {
	case "hit":
		s.Hit = true
	case "fwd":
		s.Fwd = value
	case "fwd-status":
		s.FwdStatus, _ = strconv.Atoi(value)
	case "stored":
		s.Stored = true
	case "collapsed":
		s.Collapsed = true
	case "ttl":
		seconds, err := strconv.ParseInt(value, 10, 32)
		s.TTL, s.HasTTL = time.Duration(seconds)*time.Second, err == nil
	case "detail":
		s.Detail, _ = field.Unquote(value)
	}
}

// Cut splits s at its first semicolon outside a quoted string.
func Cut(s string) (first, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return field.TrimOWS(s[:i]), field.TrimOWS(s[i+1:])
		}
	}
	return field.TrimOWS(s), ""
}
