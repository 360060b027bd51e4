package rfc9111

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// byteRange is the single range that a request asks for (RFC 9110 §14.1.2).
type byteRange struct {
	first, last int64 // last is -1 if the range is open
	suffix      int64 // the last so many bytes, or -1 for a range with positions
}

// parseRange reads a Range field that asks for a single range of bytes. Anything else is the origin's to answer.
func parseRange(lines []string) (byteRange, bool) {
	if len(lines) != 1 {
		return byteRange{}, false
	}
	unit, set, ok := strings.Cut(field.TrimOWS(lines[0]), "=")
	if !ok || !field.EqualFold(unit, "bytes") || strings.Contains(set, ",") {
		return byteRange{}, false
	}
	first, last, ok := strings.Cut(field.TrimOWS(set), "-")
	switch {
	case !ok || first == "" && last == "":
		return byteRange{}, false
	case first == "":
		suffix, ok := position(last)
		return byteRange{suffix: suffix}, ok
	}
	r := byteRange{last: -1, suffix: -1}
	if r.first, ok = position(first); !ok {
		return byteRange{}, false
	}
	if last != "" {
		r.last, ok = position(last)
		ok = ok && r.last >= r.first
	}
	return r, ok
}

// position reads a number of bytes, of at most 18 digits.
func position(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// of applies r to a representation of a known length. It is false if no byte of it is in the range (RFC 9110 §14.1.2).
func (r byteRange) of(complete int64) (stored.ContentRange, bool) {
	s := stored.ContentRange{First: r.first, Last: r.last, Complete: complete}
	if r.suffix >= 0 {
		s.First, s.Last = max(complete-r.suffix, 0), complete-1
	}
	if s.Last < 0 || s.Last >= complete {
		s.Last = complete - 1
	}
	return s, s.First <= s.Last && s.First < complete
}

// ParseContentRange reads a Content-Range field (RFC 9110 §14.4).
func ParseContentRange(lines []string) (stored.ContentRange, bool) {
	if len(lines) != 1 {
		return stored.ContentRange{}, false
	}
	rest, ok := strings.CutPrefix(field.Lower(field.TrimOWS(lines[0])), "bytes ")
	positions, complete, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(positions, "-")
	if !ok || !ok2 || !ok3 {
		return stored.ContentRange{}, false
	}
	s := stored.ContentRange{Complete: -1}
	s.First, ok = position(first)
	s.Last, ok2 = position(last)
	if !ok || !ok2 || s.Last < s.First {
		return stored.ContentRange{}, false
	}
	if complete != "*" {
		if s.Complete, ok = position(complete); !ok || s.Last >= s.Complete {
			return stored.ContentRange{}, false
		}
	}
	return s, true
}

// holds reports whether an entry has all the bytes that a request asks for, and which these are (RFC 9111 §3.3).
func holds(a *Request, e *stored.Entry) (stored.ContentRange, bool) {
	switch {
	case e.Part == nil:
		return stored.ContentRange{}, true
	case !a.ranged || !ifRangeHolds(a, e) || e.Part.Complete < 0 && (a.rng.suffix >= 0 || a.rng.last < 0):
		return stored.ContentRange{}, false
	}
	complete := e.Part.Complete
	if complete < 0 {
		complete = max(a.rng.last, e.Part.Last) + 1
	}
	wanted, ok := a.rng.of(complete)
	wanted.Complete = e.Part.Complete
	return wanted, ok && wanted.First >= e.Part.First && wanted.Last <= e.Part.Last
}

// ifRangeHolds evaluates If-Range against a stored response (RFC 9110 §13.1.5): a strong comparison, by tag or by date.
func ifRangeHolds(a *Request, e *stored.Entry) bool {
	if len(a.ifRange) == 0 {
		return true
	}
	if len(a.ifRange) > 1 {
		return false
	}
	validator := field.TrimOWS(a.ifRange[0])
	if strings.HasSuffix(validator, `"`) {
		return field.ParseETag(validator).StronglyEquals(e.Etag())
	}
	date, ok := field.Date(validator, e.Received)
	return ok && date.Equal(e.Modified()) && e.Date().Sub(e.Modified()) >= time.Second
}

// remainder returns the Range field for the bytes that a stored part lacks, and whether one range is enough (RFC 9111 §3.3, §3.4).
// A part with a weak tag is never completed: the rest might be of another representation.
func remainder(e *stored.Entry) (string, bool) {
	p := e.Part
	if p == nil || p.Complete < 0 || e.Etag().Weak {
		return "", false
	}
	switch {
	case p.First == 0 && p.Last < p.Complete-1:
		return "bytes=" + strconv.FormatInt(p.Last+1, 10) + "-", true
	case p.First > 0 && p.Last == p.Complete-1:
		return "bytes=0-" + strconv.FormatInt(p.First-1, 10), true
	}
	return "", false
}

// Completes reports whether a partial response and a stored part make the whole together: they have one strong tag and no byte is missing
// (RFC 9110 §15.3.7.3, RFC 9111 §3.4).
func Completes(e *stored.Entry, h http.Header) (stored.ContentRange, bool) {
	s, ok := ParseContentRange(h["Content-Range"])
	if !ok || !field.ParseETag(h.Get("Etag")).StronglyEquals(e.Etag()) || s.Complete != e.Part.Complete {
		return stored.ContentRange{}, false
	}
	head := e.Part.First == 0 && s.First == e.Part.Last+1 && s.Last == s.Complete-1
	tail := e.Part.Last == s.Complete-1 && s.First == 0 && s.Last == e.Part.First-1
	return s, head || tail
}

// Shaped returns the form in which a stored response answers a request: the condition of the request comes first, then its range (RFC 9110 §13.2.2).
func Shaped(a *Request, e *stored.Entry, now time.Time) stored.Form {
	return ShapedAs(a, e, e.Body.Size(), now)
}

// Unshapable is the form of a range of a body whose length is not known yet.
var Unshapable = stored.Form{Status: -1}

// ShapedAs is Shaped for a body with this many bytes, or -1 if the length is not known yet.
func ShapedAs(a *Request, e *stored.Entry, complete int64, now time.Time) stored.Form {
	if a.Conditional() && notModified(a, e, now) {
		return stored.Form{Status: http.StatusNotModified}
	}
	if !a.ranged || e.Status != http.StatusOK && e.Part == nil || !ifRangeHolds(a, e) {
		return stored.Form{}
	}
	if e.Part != nil {
		wanted, _ := holds(a, e)
		return stored.Form{Status: http.StatusPartialContent, Part: wanted}
	}
	if complete < 0 {
		return Unshapable
	}
	if complete == 0 && a.rng.suffix > 0 {
		return stored.Form{} // satisfiable, but a 206 cannot say so (RFC 9110 §14.1.2)
	}
	wanted, ok := a.rng.of(complete)
	if !ok {
		return stored.Form{Status: http.StatusRequestedRangeNotSatisfiable, Part: stored.ContentRange{Complete: complete}}
	}
	return stored.Form{Status: http.StatusPartialContent, Part: wanted}
}
