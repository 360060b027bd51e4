package stored

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// Entry is one stored response. It is immutable once it is published: a validation puts a new entry, which shares the body, in its place.
//
// What a plain hit reads stands together: in an entry that has not been read lately, each cache line of the CPU costs as much as the rest of the hit.
// What holds no pointer stands last, so that a garbage collection does not look at it.
type Entry struct {
	Header    Header // as stored
	Body      Content
	Line      *StatusLine     // of the usual ones, one is shared by all entries
	Search    *SearchVariance // how far the query counts, or nil if it counts as a whole
	Part      *ContentRange   // which part of the representation body is, or nil if it is whole
	Selectors []Selector
	Ending    *Ending // nil for most

	alone  Variants  // what is stored under a key that has this entry and no other, from Derive on
	myself [1]*Entry // its entries

	Record *Record // where a byte store has it, or nil

	URL       string // the target URI, without fragment and userinfo
	Method    string // of the requests that it answers; "" for GET, and for HEAD, which the response to a GET answers
	Tags      []invalidation.Tag
	Requested time.Time
	Received  time.Time

	Used         atomic.Int64  // when it was last used, for the choice of the variant that goes first
	InitialAge   time.Duration // corrected_initial_age (RFC 9111 §4.2.3)
	Rules        Rules
	Status       int
	modified     int64 // Last-Modified, or noDate
	date         int64 // Date, or the time of receipt
	Size         int64
	lines        int32 // of Header
	tagAt, tagN  int32 // where the opaque part of the entity tag is in Header, and how long
	tagWeak      bool
	Uncompressed bool
	Unnamed      bool // its key names a connection as only this process knows it
}

// Ending is what came after the header beside the body.
type Ending struct {
	Trailer Header
	Pacing  Pacing // of an event stream, or empty
}

// NewEnding returns nil for an ending that has nothing.
func NewEnding(trailer Header, pacing Pacing) *Ending {
	if trailer == "" && pacing == "" {
		return nil
	}
	return &Ending{trailer, pacing}
}

// noDate stands for a date that is absent, among dates in seconds since 1970.
const noDate = math.MinInt64

// Modified is Last-Modified, or zero.
func (e *Entry) Modified() time.Time {
	if e.modified == noDate {
		return time.Time{}
	}
	return time.Unix(e.modified, 0)
}

// Date is the Date of the response, or when it was received, to the second.
func (e *Entry) Date() time.Time { return time.Unix(e.date, 0) }

// entryOverhead is charged for each entry beside its bytes: the structs, maps and slices that hold them.
const entryOverhead = 384

// Expires is until when the response is fresh.
func (e *Entry) Expires() time.Time { return e.basis().Add(e.Rules.Lifetime - e.InitialAge) }

// Derive fills in what is derived from the rest.
func (e *Entry) Derive() {
	e.tagAt, e.tagN, e.tagWeak = 0, 0, false
	e.modified, e.date, e.lines = noDate, e.Received.Unix(), 0
	var room [1]string
	for name, lines := range e.Header.All() {
		e.lines += int32(lines.Len())
		switch name {
		case "Etag":
			e.findTag(lines)
		case "Last-Modified":
			if modified, ok := field.DateField(lines.AppendTo(room[:0]), e.Received); ok && !modified.IsZero() {
				e.modified = modified.Unix()
			}
		case "Date":
			if date, ok := field.DateField(lines.AppendTo(room[:0]), e.Received); ok {
				e.date = date.Unix()
			}
		}
	}
	e.myself[0] = e
	e.alone.Entries = e.myself[:]
	if e.Line == nil {
		e.Line = &noLine
	}
	e.measure()
}

// findTag remembers where in the header the entity tag is, whose lines are given. What it has of it takes no pointer, at which a garbage collection would look.
func (e *Entry) findTag(lines Lines) {
	if lines.Len() == 0 {
		return
	}
	line, rest := cutString(lines.rest)
	tag := field.ParseETag(line)
	if tag.Opaque == "" {
		return
	}
	at := len(e.Header) - len(rest) - len(line) + strings.Index(line, tag.Opaque)
	e.tagAt, e.tagN, e.tagWeak = int32(at), int32(len(tag.Opaque)), tag.Weak
}

// Etag is the entity tag.
func (e *Entry) Etag() field.ETag {
	return field.ETag{Opaque: string(e.Header[e.tagAt : e.tagAt+e.tagN]), Weak: e.tagWeak}
}

// Trailer is the trailer section.
func (e *Entry) Trailer() Header {
	if e.Ending == nil {
		return ""
	}
	return e.Ending.Trailer
}

// Pacing is that of an event stream, or empty.
func (e *Entry) Pacing() Pacing {
	if e.Ending == nil {
		return ""
	}
	return e.Ending.Pacing
}

// Complete gives a derived entry what has come after its header. Nothing else of it is written to.
func (e *Entry) Complete(body Content, trailer Header, pacing Pacing) {
	e.Body, e.Ending = body, NewEnding(trailer, pacing)
	e.measure()
}

// measure sets Size.
func (e *Entry) measure() {
	e.Size = entryOverhead + int64(len(e.URL)+len(e.Method)+len(e.Header)) + e.Body.held() + int64(len(e.Tags))*invalidation.TagOverhead
	if end := e.Ending; end != nil {
		e.Size += int64(unsafe.Sizeof(*end)) + int64(len(end.Trailer)+len(end.Pacing))
	}
	if r := e.Record; r != nil {
		e.Size += int64(unsafe.Sizeof(*r)) + int64(len(r.Generations)*len(Generation{}))
	}
	if !e.Line.shared {
		e.Size += int64(unsafe.Sizeof(*e.Line)) + int64(len(e.Line.Reason)+len(e.Line.Proto))
	}
	e.Size += int64(cap(e.Selectors)) * int64(unsafe.Sizeof(Selector{}))
	for _, s := range e.Selectors {
		e.Size += int64(len(s.Name) + len(s.Value) + len(s.Raw))
	}
	if e.Search != nil {
		e.Size += e.Search.bytes()
	}
}

// Clone returns a new entry with the contents of e, to be changed before it is published. Derive fills in its derived parts.
func (e *Entry) Clone() *Entry {
	return &Entry{
		URL: e.URL, Method: e.Method, Status: e.Status, Line: e.Line, Uncompressed: e.Uncompressed, Unnamed: e.Unnamed,
		Header: e.Header, Body: e.Body, Ending: e.Ending,
		Selectors: e.Selectors, Search: e.Search, Tags: e.Tags, Part: e.Part, Record: e.Record,
		Requested: e.Requested, Received: e.Received, InitialAge: e.InitialAge, Rules: e.Rules,
	}
}

// HasValidator reports whether the entry can be validated (RFC 9111 §4.3.1).
func (e *Entry) HasValidator() bool {
	return e.tagN > 0 || e.modified != noDate
}

// NewerThan reports whether the origin made e later than other (RFC 9111 §4). Date has a resolution of one second; within it, the later receipt decides.
func (e *Entry) NewerThan(other *Entry) bool {
	if e.date != other.date {
		return e.date > other.date
	}
	return e.Received.After(other.Received)
}

// Age is current_age (RFC 9111 §4.2.3).
func (e *Entry) Age(now time.Time) time.Duration {
	return min(e.InitialAge+e.ResidentTime(now), Longest)
}

// Longest is the longest time that a cache counts (RFC 9111 §1.2.2).
const Longest = field.MaxDelta * time.Second

// ResidentTime is how long the entry has been stored (RFC 9111 §4.2.3). Of the two clocks the one that says longer counts:
// the monotonic clock stands still while the machine sleeps, and the wall clock can be set back.
func (e *Entry) ResidentTime(now time.Time) time.Duration {
	return min(max(now.Sub(e.Received), wallSince(now, e.Received), 0), Longest)
}

// wallSince returns the time since then by the wall clock.
func wallSince(now, then time.Time) time.Duration {
	seconds := now.Unix() - then.Unix()
	if seconds < 0 || seconds > field.MaxDelta {
		return time.Duration(max(min(seconds, field.MaxDelta), -1)) * time.Second
	}
	return time.Duration(seconds)*time.Second + time.Duration(now.Nanosecond()-then.Nanosecond())
}

// basis is when the lifetime began: on receipt, or, if it slides, with the latest use.
func (e *Entry) basis() time.Time {
	if !e.Rules.Sliding {
		return e.Received
	}
	if used := time.Unix(0, e.Used.Load()); used.After(e.Received) {
		return used
	}
	return e.Received
}

// FreshFor is how long the response is still fresh; it is negative by as much as it is stale.
func (e *Entry) FreshFor(now time.Time) time.Duration {
	return e.FreshForAt(e.Age(now), now)
}

// FreshForAt is FreshFor for a caller that knows the age of the entry at now.
func (e *Entry) FreshForAt(age time.Duration, now time.Time) time.Duration {
	if e.Rules.Sliding {
		return e.Rules.Lifetime - e.InitialAge - max(now.Sub(e.basis()), 0)
	}
	return e.Rules.Lifetime - age
}

// Touch records a use, at most one in each touchEvery: that is enough to find the variant that was used least recently, and concurrent readers
// of one entry do not contend for a cache line. A sliding lifetime restarts with each use, so each is recorded.
func (e *Entry) Touch(now time.Time) {
	used := now.UnixNano()
	if e.Rules.Sliding || used-e.Used.Load() > int64(touchEvery) {
		e.Used.Store(used)
	}
}

const touchEvery = time.Millisecond

// TTL is the remaining freshness at now; see the function of that name.
func (e *Entry) TTL(now time.Time) time.Duration { return TTL(e.FreshFor(now)) }

// TTL is the remaining freshness in whole seconds (RFC 9211 §2.4): at least one while the response is fresh, and zero or less once it is stale.
func TTL(left time.Duration) time.Duration {
	if left > 0 {
		return max(left.Truncate(time.Second), time.Second)
	}
	return -(-left + time.Second - 1).Truncate(time.Second)
}

// whole makes a copy of the stored response for r. The copy shares only the bytes of the body, which cannot be written to through it.
func (e *Entry) whole(r *http.Request, head bool, age, status string) *http.Response {
	resp, body, lines := blank(int(e.lines) + 2)
	line := e.Line
	resp.Status, resp.StatusCode = line.Reason, e.Status
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = line.Proto, int(line.Major), int(line.Minor)
	resp.Header = e.Header.served(lines, age, status)
	resp.Request = r
	resp.ContentLength = e.Body.Size()
	if e.Uncompressed {
		resp.Uncompressed, resp.ContentLength = true, -1
	}
	if trailer := e.Trailer(); trailer != "" && !head {
		resp.Trailer = trailer.Map()
	}
	switch {
	case head || e.Body.Size() == 0:
		resp.Body = http.NoBody
	case e.Body.InMemory():
		body.rest, resp.Body = e.Body.Bytes, body
	default:
		resp.Body = e.Content(r)
	}
	return resp
}

// Response makes the answer to r from the stored response: as it is, as a 304, or as one range of it.
func (e *Entry) Response(r *http.Request, head bool, age, status string, s Form) *http.Response {
	if s.Status == 0 {
		return e.whole(r, head, age, status)
	}
	resp := e.whole(r, head || s.Status == http.StatusNotModified || s.Status == http.StatusRequestedRangeNotSatisfiable, age, status)
	resp.Trailer = nil // they are about the whole
	resp.StatusCode, resp.Status = s.Status, strconv.Itoa(s.Status)+" "+http.StatusText(s.Status)
	switch s.Status {
	case http.StatusNotModified:
		notModifiedHeader(resp.Header)
		resp.ContentLength = 0
	case http.StatusRequestedRangeNotSatisfiable:
		notModifiedHeader(resp.Header)
		resp.Header["Content-Range"] = []string{"bytes */" + strconv.FormatInt(s.Part.Complete, 10)}
		resp.Header["Content-Length"] = []string{"0"}
		resp.ContentLength = 0
	case http.StatusPartialContent:
		resp.Header["Content-Range"] = []string{s.Part.String()}
		resp.ContentLength = s.Part.Size()
		resp.Header["Content-Length"] = []string{strconv.FormatInt(s.Part.Size(), 10)}
		if body, ok := resp.Body.(Narrower); ok {
			body.Narrow(s.Part.First-e.First(), s.Part.Size())
		}
	}
	return resp
}

// First is the position of the first stored byte in the whole representation.
func (e *Entry) First() int64 {
	if e.Part == nil {
		return 0
	}
	return e.Part.First
}

// WithoutBody returns the response without its body, for the user's filters.
func (e *Entry) WithoutBody(r *http.Request, length int64) *http.Response {
	return &http.Response{
		Status: e.Line.Reason, StatusCode: e.Status, Proto: e.Line.Proto, ProtoMajor: int(e.Line.Major), ProtoMinor: int(e.Line.Minor),
		Header: e.Header.Map(), ContentLength: length, Body: http.NoBody, Request: r,
	}
}

// SharesBodyWith reports whether other is e, or the result of a validation of e in this process, which shares the body.
func (e *Entry) SharesBodyWith(other *Entry) bool {
	mine, others := e.Body.Bytes, other.Body.Bytes
	return e == other || len(mine) > 0 && len(others) > 0 && &mine[0] == &others[0]
}

// WithChunks returns e with its body in the chunks p.
func (e *Entry) WithChunks(p *Chunks) *Entry {
	s := e.Clone()
	s.Body.Chunks = p
	s.Derive()
	s.Used.Store(e.Used.Load())
	return s
}

// ErrForeignEntry is the error for an entry of another cache.
var ErrForeignEntry = errors.New("the Entry comes from another cache: take one that Entries of this one yields")
