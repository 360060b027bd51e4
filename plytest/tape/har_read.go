package tape

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/har"
)

// FromHAR makes a tape of an HTTP Archive (HAR 1.2), as browsers, proxies and [Tape.WriteHAR] write them. The tape begins with the first request.
// It has the secrets that the archive has; [Tape.Redact] takes them out.
//
// An exchange takes as long as the archive says, and its content comes as a whole, at the end of that time, unless WriteHAR has written when its pieces came.
// Browsers record content decoded, and text in UTF-8: then the tape has no Content-Encoding, and names utf-8. Content that the archive lacks is a response whose body fails at once,
// with the kind [FailureClosed]. Status 0 is a failure, whose kind follows from the error that the archive has ("net::ERR_CONNECTION_REFUSED").
// Entries of other schemes than http and https are passed over: WebSockets, data and extensions of a browser.
func FromHAR(r io.Reader) (*Tape, error) {
	t, n := &Tape{}, 0
	var begun []time.Time
	for entry, err := range har.Entries(r) {
		if err != nil {
			return nil, fmt.Errorf("tape: entry %d: %w", n, err)
		}
		n++
		if !isHTTP(entry.Request.URL) {
			continue
		}
		var extension harExtension
		if len(entry.Ply) > 0 && json.Unmarshal(entry.Ply, &extension) != nil {
			extension = harExtension{} // of another program, or of another version
		}
		if extension.Tape == nil {
			extension.Tape = &harTape{}
		}
		e, err := exchangeOf(entry, &extension)
		if err != nil {
			return nil, fmt.Errorf("tape: entry %d: %w", n-1, err)
		}
		if s := extension.Tape.Start; s != nil {
			t.Start = *s
		}
		t.Exchanges, begun = append(t.Exchanges, e), append(begun, entry.Started)
	}
	t.begin(begun)
	return t, nil
}

// begin sets the times of a tape's exchanges, and their order, by when each began.
func (t *Tape) begin(begun []time.Time) {
	known := slices.IndexFunc(begun, func(b time.Time) bool { return !b.IsZero() })
	if known < 0 {
		return
	}
	last := begun[known]
	for i, b := range begun { // an entry without a time began with the one before it
		if b.IsZero() {
			begun[i] = last
		}
		last = begun[i]
	}
	first := slices.MinFunc(begun, time.Time.Compare)
	if t.Start.IsZero() || t.Start.After(first) {
		t.Start = first
	}
	t.Start = t.Start.UTC()
	for i, e := range t.Exchanges {
		e.At = begun[i].Sub(t.Start)
	}
	slices.SortStableFunc(t.Exchanges, func(a, b *Exchange) int { return cmp.Compare(a.At, b.At) })
}

func isHTTP(address string) bool {
	scheme, _, _ := strings.Cut(address, ":")
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

func exchangeOf(entry *har.Entry, extension *harExtension) (*Exchange, error) {
	r, err := entry.Request.HTTP()
	if err != nil {
		return nil, err
	}
	e := &Exchange{Request: Request{Method: r.Method, URL: r.URL.String(), Header: r.Header, Trailer: headerOf(extension.Tape.RequestTrailers)}}
	if r.Host != r.URL.Host {
		e.Request.Host = r.Host
	}
	if r.Body != nil {
		if e.Request.Body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	wait, received := times(entry)
	if failed := cmp.Or(entry.Response.Error, entry.Response.FailureText); failed != "" || entry.Response.Status <= 0 || extension.Tape.Failure != "" {
		e.Failure = &Failure{At: min(wait+received, maxTime), Kind: cmp.Or(extension.Tape.Failure, kindOf(failed)), Text: cmp.Or(failed, "the archive has no response")}
	}
	if entry.Response.Status <= 0 {
		return e, nil
	}
	if e.Response, err = responseOf(e, entry, extension, received); err != nil {
		return nil, err
	}
	e.Response.Wait = wait
	if e.Failure != nil {
		e.Failure.At = received
		if n := len(e.Response.Chunks); n > 0 { // the times of an archive may contradict one another: a body fails after what came of it
			e.Failure.At = max(received, e.Response.Chunks[n-1].At)
		}
	}
	return e, nil
}

// responseOf returns the response of an entry, whose content had come after some time.
func responseOf(e *Exchange, entry *har.Entry, extension *harExtension, received time.Duration) (*Response, error) {
	archived := entry.Response
	if archived.Status < 100 || archived.Status > 999 {
		return nil, fmt.Errorf("the status %d is none of HTTP", archived.Status)
	}
	if !hasBody(e.Request.Method, archived.Status) {
		archived.Content = har.Content{}
	} else if _, err := archived.Content.Bytes(); errors.Is(err, har.ErrNoText) {
		archived.Content.Text = new(string)
		if archived.Status/100 != 3 {
			e.Failure = cmp.Or(e.Failure, &Failure{Kind: FailureClosed, Text: err.Error()})
		}
	}
	resp, err := archived.HTTP()
	if err != nil {
		return nil, err
	}
	body, _ := io.ReadAll(resp.Body)
	r := &Response{
		Status: archived.Status, Reason: reason(archived.Status, archived.StatusText), Proto: resp.Proto, Header: resp.Header, Trailer: headerOf(extension.Tape.Trailers), Length: -1,
		Uncompressed: resp.Uncompressed && !extension.Encoded && hasBody(e.Request.Method, archived.Status),
	}
	if resp.Uncompressed && !r.Uncompressed {
		r.Header["Content-Encoding"] = valuesOf(archived.Headers, "Content-Encoding")
	}
	r.Header.Del("Content-Length")
	if n, ok := announcedLength(archived.Headers); ok && !r.Uncompressed {
		if hasBody(e.Request.Method, archived.Status) && e.Failure == nil {
			n = int64(len(body)) // text that was in another charset has another length
		}
		r.Length = n
		r.Header.Set("Content-Length", strconv.FormatInt(n, 10))
	}
	r.Chunks = chunksOf(body, extension.Tape.Chunks, received)
	return r, nil
}

// announcedLength returns the last Content-Length that is there, if it is a length.
func announcedLength(fields []har.Pair) (int64, bool) {
	values := valuesOf(fields, "Content-Length")
	if len(values) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(values[len(values)-1], 10, 64)
	return n, err == nil && n >= 0
}

func valuesOf(fields []har.Pair, name string) (values []string) {
	for _, p := range fields {
		if strings.EqualFold(p.Name, name) {
			values = append(values, p.Value)
		}
	}
	return values
}

// times returns how long the header of a response took, from when the request was to be sent, and how long its content took after that.
func times(entry *har.Entry) (wait, received time.Duration) {
	t := &entry.Timings
	for _, phase := range []*float64{t.Blocked, t.DNS, t.Connect, &t.Send, &t.Wait} { // Connect has the share of SSL
		if phase != nil {
			wait += millisecondsOf(*phase)
		}
	}
	received = millisecondsOf(t.Receive)
	if wait == 0 && received == 0 {
		wait = millisecondsOf(entry.Time)
	}
	return min(wait, maxTime), received
}

// fits reports whether chunks of these times and lengths make a body of a length.
func fits(chunks [][2]int64, length int) bool {
	last := int64(0)
	for _, c := range chunks {
		if c[0] < last || c[0] > int64(maxTime) || c[1] <= 0 || c[1] > int64(length) {
			return false
		}
		last, length = c[0], length-int(c[1])
	}
	return length == 0
}

// chunksOf cuts a body into its chunks. If they do not fit, it is one chunk, at its end.
func chunksOf(body []byte, chunks [][2]int64, received time.Duration) []Chunk {
	switch {
	case len(body) == 0:
		return nil
	case !fits(chunks, len(body)):
		return []Chunk{{At: received, Data: body}}
	}
	var cut []Chunk
	for _, c := range chunks {
		cut, body = append(cut, Chunk{At: time.Duration(c[0]), Data: body[:c[1]:c[1]]}), body[c[1]:]
	}
	return cut
}

func headerOf(pairs []har.Pair) http.Header {
	if len(pairs) == 0 {
		return nil
	}
	h := make(http.Header, len(pairs))
	for _, p := range pairs {
		h.Add(p.Name, p.Value)
	}
	return h
}

// kindOf returns the kind of a failure by the error that a browser names, as Chromium does (net::ERR_…).
func kindOf(text string) FailureKind {
	for _, k := range browserErrors {
		if strings.Contains(strings.ToUpper(text), k.part) {
			return k.kind
		}
	}
	return FailureOther
}

// browserErrors are parts of what browsers call errors. The first that is found counts.
var browserErrors = []struct {
	part string
	kind FailureKind
}{
	{"NAME_NOT_RESOLVED", FailureDNS}, {"NAME_RESOLUTION", FailureDNS}, {"DNS_", FailureDNS}, {"UNKNOWN_HOST", FailureDNS},
	{"CONNECTION_REFUSED", FailureRefused}, {"CONNECTION_RESET", FailureReset}, {"NET_RESET", FailureReset},
	{"TIMED_OUT", FailureTimeout}, {"TIMEOUT", FailureTimeout},
	{"ERR_CERT_", FailureTLS}, {"ERR_SSL_", FailureTLS}, {"SEC_ERROR", FailureTLS},
	{"EMPTY_RESPONSE", FailureEOF}, {"CONNECTION_CLOSED", FailureEOF}, {"INCOMPLETE_CHUNKED", FailureEOF}, {"CONTENT_LENGTH_MISMATCH", FailureEOF}, {"PARTIAL_TRANSFER", FailureEOF},
	{"ERR_ABORTED", FailureCanceled}, {"BINDING_ABORTED", FailureCanceled},
}
