package tape

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// An answer is what the origin of a replay says to one request. Its slices and maps are shared with the tape until they are changed in a copy.
type answer struct {
	wait     time.Duration // until the header, or until the failure if there is no response
	response *Response     // nil: failure instead
	failure  *Failure      // of a response: where its body breaks off
}

// asRecorded returns what came, also if it was trouble.
func asRecorded(m *moment) answer {
	if m.Response == nil {
		return answer{wait: m.Failure.At, failure: m.Failure}
	}
	return answer{wait: m.Response.Wait, response: m.Response, failure: m.Failure}
}

// withoutContent returns the trouble that another resource of the host had, without anything that is that resource's: its content may be another principal's.
func withoutContent(m *moment) answer {
	if m.Response == nil {
		return asRecorded(m)
	}
	h := http.Header{"Content-Length": {"0"}}
	for _, name := range []string{"Date", "Retry-After"} {
		if lines := m.Response.Header[name]; lines != nil {
			h[name] = lines
		}
	}
	return answer{wait: m.Response.Wait, response: &Response{Status: m.Response.Status, Proto: m.Response.Proto, Header: h}}
}

// represent answers with what the origin had at the moment m, as far as the conditions and the range of the request let it (RFC 9110 §13.2.2).
func (o *origin) represent(r *http.Request, m *moment, at time.Duration) answer {
	source := m.Exchange
	if m.representation != nil {
		source = m.representation
	}
	resp := *source.Response
	resp.Header = resp.Header.Clone()
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	if m.Exchange != source { // a 304 updates what it confirms (RFC 9111 §3.2)
		for name, lines := range m.Response.Header {
			if name != "Content-Length" && name != "Content-Encoding" && name != "Content-Range" {
				resp.Header[name] = slices.Clone(lines)
			}
		}
	}
	a := o.dated(answer{response: &resp}, m, at)
	if resp.Status >= 200 && resp.Status < 300 && m.representation != nil {
		evaluate(r, a.response)
	}
	if r.Method == http.MethodHead {
		a.response.Chunks = nil
	}
	return a
}

// dated makes the dates of an answer those of the bubble. A response that is used at another time than its own looks as if it had been generated then: its Date moves, and with it
// Expires, unless the tape shows that Expires is a fixed time. An Age stays: it is how old the response is when it comes.
func (o *origin) dated(a answer, m *moment, at time.Duration) answer {
	by := at - m.At
	if a.response == nil || by == 0 && o.shift == 0 {
		return a
	}
	resp := *a.response
	resp.Header = resp.Header.Clone()
	if generated := date(resp.Header, "Date"); !generated.IsZero() {
		if date(resp.Header, "Expires").After(generated) && !o.fixedExpiry(m) {
			shiftDate(resp.Header, "Expires", by)
		}
		shiftDate(resp.Header, "Date", by)
	}
	for _, name := range []string{"Date", "Expires", "Last-Modified", "Retry-After", "Sunset"} {
		shiftDate(resp.Header, name, o.shift)
	}
	a.response = &resp
	return a
}

// fixedExpiry reports whether another response of the resource has the same Expires with another Date.
func (o *origin) fixedExpiry(m *moment) bool {
	return len(o.expiries[expiry{m.key, m.Response.Header.Get("Expires")}]) > 1
}

// shiftDate moves the date in a field that has one; what is none stays as it is.
func shiftDate(h http.Header, name string, by time.Duration) {
	lines := h[name]
	if len(lines) != 1 || by == 0 {
		return
	}
	if t, err := http.ParseTime(lines[0]); err == nil {
		h[name] = []string{t.Add(by).UTC().Format(http.TimeFormat)}
	}
}

// evaluate applies the conditions of a request and its range to a representation, in the order of RFC 9110 §13.2.2.
func evaluate(r *http.Request, resp *Response) {
	tag, changed := field.ParseETag(resp.Header.Get("Etag")), date(resp.Header, "Last-Modified")
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !unchanged(r.Header, tag, changed):
		without(resp, http.StatusPreconditionFailed)
	case modified(r.Header, tag, changed, safe):
		if r.Method == http.MethodGet && rangeable(resp) && ifRange(r.Header.Get("If-Range"), tag, resp.Header) {
			cutRange(r.Header.Get("Range"), resp)
		}
	case safe:
		without(resp, http.StatusNotModified)
	default:
		without(resp, http.StatusPreconditionFailed)
	}
}

// unchanged evaluates If-Match, or in its absence If-Unmodified-Since (RFC 9110 §13.1.1, §13.1.4).
func unchanged(h http.Header, tag field.ETag, changed time.Time) bool {
	if h.Get("If-Match") != "" {
		return strongMatch(h["If-Match"], tag)
	}
	since := date(h, "If-Unmodified-Since")
	return since.IsZero() || !changed.After(since)
}

// modified evaluates If-None-Match, or in its absence If-Modified-Since, which is for GET and HEAD (RFC 9110 §13.1.2, §13.1.3).
func modified(h http.Header, tag field.ETag, changed time.Time, safe bool) bool {
	if h.Get("If-None-Match") != "" {
		return field.NoneMatch(h["If-None-Match"], tag)
	}
	since := date(h, "If-Modified-Since")
	return !safe || since.IsZero() || changed.IsZero() || changed.After(since)
}

// rangeable reports whether the origin serves ranges of the representation, and the tape has the bytes that they count.
func rangeable(resp *Response) bool {
	return resp.Status == http.StatusOK && !resp.Uncompressed && field.EqualFold(resp.Header.Get("Accept-Ranges"), "bytes")
}

func date(h http.Header, name string) time.Time {
	t, err := http.ParseTime(h.Get(name))
	if err != nil {
		return time.Time{}
	}
	return t
}

// strongMatch reports whether If-Match holds (RFC 9110 §13.1.1).
func strongMatch(lines []string, tag field.ETag) bool {
	if len(lines) == 1 && field.TrimOWS(lines[0]) == "*" {
		return true
	}
	for member := range field.Tags(lines) {
		if field.ParseETag(member).StronglyEquals(tag) {
			return true
		}
	}
	return false
}

// ifRange reports whether Range counts: If-Range is absent or names the representation strongly (RFC 9110 §13.1.5). A date does so if it is at least a second before
// that of the response, for nothing can have changed twice in its second then (RFC 9110 §8.8.2.2).
func ifRange(value string, tag field.ETag, h http.Header) bool {
	if value == "" {
		return true
	}
	if t, err := http.ParseTime(value); err == nil {
		return t.Equal(date(h, "Last-Modified")) && date(h, "Date").Sub(t) >= time.Second
	}
	return field.ParseETag(value).StronglyEquals(tag)
}

// without makes a response without content of another: what describes the content goes (RFC 9110 §15.4.5).
func without(resp *Response, status int) {
	resp.Status, resp.Chunks, resp.Trailer, resp.Length, resp.Uncompressed = status, nil, nil, 0, false
	maps.DeleteFunc(resp.Header, func(name string, _ []string) bool {
		return strings.HasPrefix(name, "Content-") && name != "Content-Location" || name == "Transfer-Encoding" || name == "Trailer"
	})
	if status != http.StatusNotModified {
		resp.Header.Set("Content-Length", "0")
	}
}

// cutRange makes a 206 with one range of bytes, or a 416. A server may ignore Range (RFC 9110 §14.2), and this one does if there are several ranges.
func cutRange(value string, resp *Response) {
	if value == "" {
		return
	}
	size := int64(len(resp.Body()))
	first, last, ok := byteRange(value, size)
	switch {
	case !ok:
	case first > last:
		without(resp, http.StatusRequestedRangeNotSatisfiable)
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
	default:
		resp.Status = http.StatusPartialContent
		resp.Length = last - first + 1
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
		resp.Header.Set("Content-Length", strconv.FormatInt(resp.Length, 10))
		resp.Chunks = slice(resp.Chunks, first, last+1)
	}
}

// byteRange returns the first and the last byte of a single range (RFC 9110 §14.1.2). If it has none of the content, first is greater than last.
// It reports false if value is no single range.
func byteRange(value string, size int64) (first, last int64, ok bool) {
	spec, ok := strings.CutPrefix(strings.ToLower(value), "bytes=")
	from, to, found := strings.Cut(field.TrimOWS(spec), "-")
	if !ok || !found {
		return 0, 0, false
	}
	if from == "" { // the last bytes
		n, err := strconv.ParseUint(to, 10, 63)
		return max(size-int64(n), 0), size - 1, err == nil
	}
	begin, err := strconv.ParseUint(from, 10, 63)
	if err != nil {
		return 0, 0, false
	}
	if to == "" {
		return int64(begin), size - 1, true
	}
	end, err := strconv.ParseUint(to, 10, 63)
	return int64(begin), min(int64(end), size-1), err == nil && begin <= end
}

// slice returns the chunks of the bytes from and up to to, at the times at which they came, less what the first of them waited.
func slice(chunks []Chunk, from, to int64) []Chunk {
	var cut []Chunk
	var offset int64
	var wait time.Duration
	for _, c := range chunks {
		begin, end := max(from-offset, 0), min(to-offset, int64(len(c.Data)))
		offset += int64(len(c.Data))
		if begin >= end {
			continue
		}
		if cut == nil {
			wait = c.At
		}
		cut = append(cut, Chunk{At: c.At - wait, Data: c.Data[begin:end]})
	}
	return cut
}
