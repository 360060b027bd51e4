package cache

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// An Entry is one stored response. It never changes: a validation puts a new entry, which shares the body, in its place.
// The zero Entry is of no use; entries come from a cache.
type Entry struct {
	// What a plain hit reads stands together: of an entry that has not been read for a while, each line of the CPU's cache costs as much as all else.
	used      atomic.Int64 // when it was last used, for the choice of the variant that goes first
	stamp     atomic.Pointer[stamp]
	served    layout          // of the header as served
	search    *searchVariance // how far the query counts, or nil if it counts as a whole
	part      *span           // which part of the representation body is, or nil if it is whole
	selectors []selector
	body      content
	received  time.Time
	age0      time.Duration // corrected_initial_age (RFC 9111 §4.2.3)
	rules     rules

	status       int
	reason       string // "200 OK"
	proto        string
	major, minor int
	uncompressed bool
	trailer      http.Header

	url       string      // the target URI, without fragment and userinfo
	method    string      // that it answers; "" for GET, and for HEAD, which a GET's answer serves
	header    http.Header // as stored, never written to
	tags      []tag
	marks     []nonce // the generations of the tags, for a byte store
	etag      field.ETag
	modified  time.Time // Last-Modified, or zero
	date      time.Time // Date, or the time of receipt
	requested time.Time
	at        *place // in a byte store
	size      int64
}

// entryOverhead is charged for each entry beside its bytes: the structs, maps and slices that hold them.
const entryOverhead = 768

// URL returns the target URI, without fragment and userinfo. If it was read from a byte store, it has [redact.Placeholder] in the place of what package redact hides:
// the values of the query, mostly.
func (e *Entry) URL() string { return e.url }

// Method returns the method of the requests that the response answers: "GET", which stands for HEAD as well, or another one of [Options.Methods].
func (e *Entry) Method() string { return cmp.Or(e.method, http.MethodGet) }

// PrincipalIs reports whether the response was made for the principal with this name, as [WithPrincipal] said. An entry knows a hash of the name alone,
// in memory as in a store, so it cannot say the name.
func (e *Entry) PrincipalIs(name string) bool {
	return name != "" && slices.Contains(e.tags, principalTag(name))
}

// StatusCode returns the status of the stored response.
func (e *Entry) StatusCode() int { return e.status }

// Header returns a copy of the stored header.
func (e *Entry) Header() http.Header { return e.header.Clone() }

// Size returns how many bytes the entry is charged with: body, header and overhead.
func (e *Entry) Size() int64 { return e.size }

// Received returns when the response was received or last validated.
func (e *Entry) Received() time.Time { return e.received }

// Expires returns until when the response is fresh.
func (e *Entry) Expires() time.Time { return e.basis().Add(e.rules.lifetime - e.age0) }

// Fresh tells whether the response is fresh at now.
func (e *Entry) Fresh(now time.Time) bool { return e.left(now) > 0 }

// index fills in what is derived from the rest.
func (e *Entry) index() {
	e.etag = field.ParseETag(e.header.Get("Etag"))
	e.modified, _ = field.DateField(e.header["Last-Modified"], e.received)
	e.date = e.received
	if date, ok := field.DateField(e.header["Date"], e.received); ok {
		e.date = date
	}
	e.served = newLayout(e.header)
	e.size = entryOverhead + int64(len(e.url)+len(e.method)) + e.body.held() + int64(len(e.tags))*tagOverhead
	for name, values := range e.header {
		e.size += fieldSize(name, values)
	}
	for name, values := range e.trailer {
		e.size += fieldSize(name, values)
	}
	for _, s := range e.selectors {
		e.size += int64(len(s.name) + len(s.value) + len(s.raw) + 64)
	}
	if e.search != nil {
		e.size += e.search.bytes()
	}
}

// fieldOverhead is charged for each field: its cell in the map, which is half empty at worst, its place in the index, and the rounding of its strings.
const fieldOverhead = 112

func fieldSize(name string, values []string) int64 {
	size := int64(len(name) + fieldOverhead)
	for _, value := range values {
		size += int64(len(value) + 16)
	}
	return size
}

// copy returns a new entry with the contents of e, to be changed before it is published. Its derived parts are filled in by index.
func (e *Entry) copy() *Entry {
	return &Entry{
		url: e.url, method: e.method, status: e.status, reason: e.reason, proto: e.proto, major: e.major, minor: e.minor,
		header: e.header, trailer: e.trailer, body: e.body, uncompressed: e.uncompressed,
		selectors: e.selectors, search: e.search, tags: e.tags, marks: e.marks, part: e.part, at: e.at,
		requested: e.requested, received: e.received, age0: e.age0, rules: e.rules,
	}
}

// makeWhole turns a part that lacks nothing into the whole response that it is (RFC 9111 §3.4).
func (e *Entry) makeWhole() {
	e.part, e.status, e.reason = nil, http.StatusOK, "200 OK"
	delete(e.header, "Content-Range")
	e.header["Content-Length"] = []string{strconv.FormatInt(e.body.size(), 10)}
}

// hasValidator tells whether the entry can be validated.
func (e *Entry) hasValidator() bool {
	return e.etag.Opaque != "" || !e.modified.IsZero()
}

// newerThan tells which of two responses the origin made later. Within one second, which is all that Date tells, it is the one that came later.
func (e *Entry) newerThan(other *Entry) bool {
	if !e.date.Equal(other.date) {
		return e.date.After(other.date)
	}
	return e.received.After(other.received)
}

// age is current_age (RFC 9111 §4.2.3).
func (e *Entry) age(now time.Time) time.Duration {
	return min(e.age0+e.resident(now), longest)
}

// longest is the longest time that a cache counts (RFC 9111 §1.2.2).
const longest = field.MaxDelta * time.Second

// resident is how long the entry has been here. Of the two clocks the one that says longer counts:
// the monotonic clock stands still while the machine sleeps, and the wall clock can be set back.
func (e *Entry) resident(now time.Time) time.Duration {
	return min(max(now.Sub(e.received), wallSince(now, e.received), 0), longest)
}

// wallSince is the time since then by the wall clock.
func wallSince(now, then time.Time) time.Duration {
	seconds := now.Unix() - then.Unix()
	if seconds < 0 || seconds > field.MaxDelta {
		return time.Duration(max(min(seconds, field.MaxDelta), -1)) * time.Second
	}
	return time.Duration(seconds)*time.Second + time.Duration(now.Nanosecond()-then.Nanosecond())
}

// basis is when the lifetime began: on receipt, or, if it slides, with the latest use.
func (e *Entry) basis() time.Time {
	if !e.rules.sliding {
		return e.received
	}
	if used := time.Unix(0, e.used.Load()); used.After(e.received) {
		return used
	}
	return e.received
}

// left is how long the response is still fresh; it is negative by as much as it is stale.
func (e *Entry) left(now time.Time) time.Duration {
	return e.leftAt(e.age(now), now)
}

// leftAt is left at the age that the entry has now.
func (e *Entry) leftAt(age time.Duration, now time.Time) time.Duration {
	if e.rules.sliding {
		return e.rules.lifetime - e.age0 - max(now.Sub(e.basis()), 0)
	}
	return e.rules.lifetime - age
}

// touch notes a use. That it is noted once in a while is enough to tell which variant was used longest ago, and keeps those who read
// one entry at the same time from writing to one place. A lifetime that slides begins with each use.
func (e *Entry) touch(now time.Time) {
	used := now.UnixNano()
	if e.rules.sliding || used-e.used.Load() > int64(touchEvery) {
		e.used.Store(used)
	}
}

const touchEvery = time.Millisecond

// stamp is the two field values of a hit that change with time, good for one second.
type stamp struct {
	second int64
	age    string
	status string
}

// stamped returns the Age and the Cache-Status of a plain hit at an age.
func (e *Entry) stamped(age, left time.Duration) *stamp {
	second := int64(age / time.Second)
	if s := e.stamp.Load(); s != nil && s.second == second && !e.rules.sliding {
		return s
	}
	s := &stamp{second: second, age: strconv.FormatInt(second, 10)}
	s.status = Status{Hit: true, TTL: ttl(left), HasTTL: true}.String()
	e.stamp.Store(s)
	return s
}

// ttl is the remaining freshness at now; see the function of that name.
func (e *Entry) ttl(now time.Time) time.Duration { return ttl(e.left(now)) }

// ttl is the remaining freshness in whole seconds (RFC 9211 §2.4): at least one while the response is fresh, and zero or less once it is stale.
func ttl(left time.Duration) time.Duration {
	if left > 0 {
		return max(left.Truncate(time.Second), time.Second)
	}
	return -(-left + time.Second - 1).Truncate(time.Second)
}

// response makes a private copy of the stored response for r. Nothing in it is shared but the bytes of the body, which cannot be written to.
func (e *Entry) response(r *http.Request, head bool, age, status string) *http.Response {
	resp, body, lines := blank(len(e.served.lines))
	resp.Status, resp.StatusCode = e.reason, e.status
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = e.proto, e.major, e.minor
	resp.Header = e.served.header(lines, age, status)
	resp.Request = r
	resp.ContentLength = e.body.size()
	if e.uncompressed {
		resp.Uncompressed, resp.ContentLength = true, -1
	}
	if len(e.trailer) > 0 && !head {
		resp.Trailer = e.trailer.Clone()
	}
	switch {
	case head || e.body.size() == 0:
		resp.Body = http.NoBody
	case e.body.here():
		body.rest, resp.Body = e.body.bytes, body
	default:
		resp.Body = e.content(r)
	}
	return resp
}

// shapedResponse makes the answer to r from the stored response: as it is, as a 304, or as one range of it.
func (e *Entry) shapedResponse(r *http.Request, head bool, age, status string, s shape) *http.Response {
	if s.status == 0 {
		return e.response(r, head, age, status)
	}
	resp := e.response(r, head || s.status == http.StatusNotModified || s.status == http.StatusRequestedRangeNotSatisfiable, age, status)
	resp.Trailer = nil // they are about the whole
	resp.StatusCode, resp.Status = s.status, strconv.Itoa(s.status)+" "+http.StatusText(s.status)
	switch s.status {
	case http.StatusNotModified:
		notModifiedHeader(resp.Header)
		resp.ContentLength = 0
	case http.StatusRequestedRangeNotSatisfiable:
		notModifiedHeader(resp.Header)
		resp.Header["Content-Range"] = []string{"bytes */" + strconv.FormatInt(s.part.complete, 10)}
		resp.Header["Content-Length"] = []string{"0"}
		resp.ContentLength = 0
	case http.StatusPartialContent:
		resp.Header["Content-Range"] = []string{s.part.String()}
		resp.ContentLength = s.part.size()
		resp.Header["Content-Length"] = []string{strconv.FormatInt(s.part.size(), 10)}
		if body, ok := resp.Body.(narrower); ok {
			body.narrow(s.part.first-e.first(), s.part.size())
		}
	}
	return resp
}

// first is the position of the first stored byte in the whole representation.
func (e *Entry) first() int64 {
	if e.part == nil {
		return 0
	}
	return e.part.first
}
