package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// byteRange is the one range that a request asks for (RFC 9110 §14.1.2).
type byteRange struct {
	first, last int64 // last is -1 if the range is open
	suffix      int64 // the last so many bytes, or -1 for a range with positions
}

// span says which bytes of a representation a response holds (RFC 9110 §14.4).
type span struct {
	first, last int64
	complete    int64 // length of the whole representation, or -1 if unknown
}

func (s span) size() int64 { return s.last - s.first + 1 }

func (s span) String() string {
	complete := "*"
	if s.complete >= 0 {
		complete = strconv.FormatInt(s.complete, 10)
	}
	return "bytes " + strconv.FormatInt(s.first, 10) + "-" + strconv.FormatInt(s.last, 10) + "/" + complete
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

// position reads a number of bytes.
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
func (r byteRange) of(complete int64) (span, bool) {
	s := span{first: r.first, last: r.last, complete: complete}
	if r.suffix >= 0 {
		s.first, s.last = max(complete-r.suffix, 0), complete-1
	}
	if s.last < 0 || s.last >= complete {
		s.last = complete - 1
	}
	return s, s.first <= s.last && s.first < complete
}

// parseContentRange reads a Content-Range field (RFC 9110 §14.4).
func parseContentRange(lines []string) (span, bool) {
	if len(lines) != 1 {
		return span{}, false
	}
	rest, ok := strings.CutPrefix(field.Lower(field.TrimOWS(lines[0])), "bytes ")
	positions, complete, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(positions, "-")
	if !ok || !ok2 || !ok3 {
		return span{}, false
	}
	s := span{complete: -1}
	s.first, ok = position(first)
	s.last, ok2 = position(last)
	if !ok || !ok2 || s.last < s.first {
		return span{}, false
	}
	if complete != "*" {
		if s.complete, ok = position(complete); !ok || s.last >= s.complete {
			return span{}, false
		}
	}
	return s, true
}

// holding is the span that so many bytes under this Content-Range really are. Some origins state one byte more than they send:
// the bytes that came count, from the first position on.
func (s span) holding(size int64) (span, bool) {
	short := s.size() - size
	if size <= 0 || short < 0 {
		return span{}, false
	}
	if short > 0 && s.last == s.complete-1 {
		s.complete -= short
	}
	s.last -= short
	return s, true
}

// holds tells whether an entry has all the bytes that a request asks for, and which these are.
func holds(a *ask, e *Entry) (span, bool) {
	switch {
	case e.part == nil:
		return span{}, true
	case !a.ranged || !ifRangeHolds(a, e) || e.part.complete < 0 && (a.rng.suffix >= 0 || a.rng.last < 0):
		return span{}, false
	}
	complete := e.part.complete
	if complete < 0 {
		complete = max(a.rng.last, e.part.last) + 1
	}
	wanted, ok := a.rng.of(complete)
	wanted.complete = e.part.complete
	return wanted, ok && wanted.first >= e.part.first && wanted.last <= e.part.last
}

// ifRangeHolds evaluates If-Range against a stored response (RFC 9110 §13.1.5): a strong comparison, by tag or by date.
func ifRangeHolds(a *ask, e *Entry) bool {
	if len(a.ifRange) == 0 {
		return true
	}
	if len(a.ifRange) > 1 {
		return false
	}
	validator := field.TrimOWS(a.ifRange[0])
	if strings.HasSuffix(validator, `"`) {
		return field.ParseETag(validator).StronglyEquals(e.etag)
	}
	date, ok := field.Date(validator, e.received)
	return ok && date.Equal(e.modified) && e.date.Sub(e.modified) >= time.Second
}

// remainder says which bytes make a stored part whole, as a Range field, and whether one range does (RFC 9111 §3.3, §3.4).
// A weak tag cannot tell whether the rest belongs to the part.
func remainder(e *Entry) (string, bool) {
	p := e.part
	if p == nil || p.complete < 0 || e.etag.Weak {
		return "", false
	}
	switch {
	case p.first == 0 && p.last < p.complete-1:
		return "bytes=" + strconv.FormatInt(p.last+1, 10) + "-", true
	case p.first > 0 && p.last == p.complete-1:
		return "bytes=0-" + strconv.FormatInt(p.first-1, 10), true
	}
	return "", false
}

// completes tells whether a partial response and a stored part make the whole together: they have one strong tag and no byte is missing
// (RFC 9110 §15.3.7.3, RFC 9111 §3.4).
func completes(e *Entry, h http.Header) (span, bool) {
	s, ok := parseContentRange(h["Content-Range"])
	if !ok || !field.ParseETag(h.Get("Etag")).StronglyEquals(e.etag) || s.complete != e.part.complete {
		return span{}, false
	}
	head := e.part.first == 0 && s.first == e.part.last+1 && s.last == s.complete-1
	tail := e.part.last == s.complete-1 && s.first == 0 && s.last == e.part.first-1
	return s, head || tail
}

// shape is the form in which a stored response answers a request.
type shape struct {
	status int  // 0 for the stored response as it is
	part   span // the bytes to send, for 206; the length, for 416
}

// shaped says in which form a stored response answers: the caller's condition comes first, then its range (RFC 9110 §13.2.2).
func shaped(a *ask, e *Entry, now time.Time) shape { return shapedAs(a, e, e.body.size(), now) }

// unshapable is the form that cannot be had without knowing the length.
var unshapable = shape{status: -1}

// shapedAs is shaped for a body that has so many bytes, or -1 if that is not known yet.
func shapedAs(a *ask, e *Entry, complete int64, now time.Time) shape {
	if a.conditional() && notModified(a, e, now) {
		return shape{status: http.StatusNotModified}
	}
	if !a.ranged || e.status != http.StatusOK && e.part == nil || !ifRangeHolds(a, e) {
		return shape{}
	}
	if e.part != nil {
		wanted, _ := holds(a, e)
		return shape{status: http.StatusPartialContent, part: wanted}
	}
	if complete < 0 {
		return unshapable
	}
	if complete == 0 && a.rng.suffix > 0 {
		return shape{} // satisfiable, but a 206 cannot say so (RFC 9110 §14.1.2)
	}
	wanted, ok := a.rng.of(complete)
	if !ok {
		return shape{status: http.StatusRequestedRangeNotSatisfiable, part: span{complete: complete}}
	}
	return shape{status: http.StatusPartialContent, part: wanted}
}
