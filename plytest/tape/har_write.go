package tape

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/plyhttp/ply/har"
)

// WriteHAR writes the tape as an HTTP Archive (HAR 1.2), for the tools of browsers and others. What it has of secrets is hidden as by [Tape.Redact] and as o says, the content of requests
// included; with o.KeepSecrets, the archive has what the tape has. Secrets of fields, cookies and URLs keep their numbers, REDACTED-1 and so on, so that the archive says which requests
// had the same.
//
// As in the archives of browsers, content is decoded where it came with gzip or deflate; with another coding it is written as it came. An exchange without a response has the status 0,
// and one whose body was cut has its beginning; "_error" says why. [FromHAR] reads what HAR has no place for, such as the times of chunks, from members of "_ply".
// A tape without Start begins at the Unix epoch.
func (t *Tape) WriteHAR(w io.Writer, o har.Options) error {
	if !o.KeepSecrets {
		t = t.Redact(o.Redactor) // har hides none in the content of responses
	}
	start := t.Start.UTC()
	if start.IsZero() {
		start = time.Unix(0, 0).UTC()
	}
	out := har.NewEncoder(w, o)
	for i, e := range t.Exchanges {
		entry, extension := e.har(start.Add(e.At), &o)
		if i == 0 && e.At != 0 {
			extension.Tape.Start = &start
		}
		text, err := json.Marshal(extension)
		if err != nil {
			return err
		}
		entry.Ply = text
		if err := out.Encode(entry); err != nil {
			return err
		}
	}
	return out.Close()
}

// har returns an exchange as an archive has it, and what it says of it beside.
func (e *Exchange) har(started time.Time, o *har.Options) (*har.Entry, *harExtension) {
	extension := &harExtension{Tape: &harTape{RequestTrailers: trailers(e.Request.Trailer, o)}}
	entry := &har.Entry{Started: started, Request: e.Request.har()}
	if e.Response == nil {
		entry.Response = har.Response{HeadersSize: -1, BodySize: -1}
		entry.Timings.Wait = har.Milliseconds(e.failedAt())
	} else {
		entry.Request.HTTPVersion = cmp.Or(e.Response.Proto, "HTTP/1.1")
		entry.Response = e.Response.har(extension)
		extension.Tape.Trailers = trailers(e.Response.Trailer, o)
		received := e.failedAt()
		if n := len(e.Response.Chunks); n > 0 {
			received = max(received, e.Response.Chunks[n-1].At)
		}
		entry.Timings.Wait, entry.Timings.Receive = har.Milliseconds(e.Response.Wait), har.Milliseconds(received)
	}
	if f := e.Failure; f != nil {
		extension.Tape.Failure = cmp.Or(f.Kind, FailureOther)
		entry.Response.Error = cmp.Or(f.Text, string(extension.Tape.Failure))
	}
	entry.Time = entry.Timings.Wait + entry.Timings.Receive
	return entry, extension
}

func (e *Exchange) failedAt() time.Duration {
	if e.Failure == nil {
		return 0
	}
	return e.Failure.At
}

func (r *Request) har() har.Request {
	h := har.Request{
		Method: cmp.Or(r.Method, http.MethodGet), URL: r.URL, HTTPVersion: "HTTP/1.1", Headers: har.Headers(r.Header), HeadersSize: -1, BodySize: int64(len(r.Body)),
	}
	if r.Host != "" {
		h.Headers = append([]har.Pair{{Name: "Host", Value: r.Host}}, h.Headers...)
	}
	if u, err := url.Parse(r.URL); err == nil {
		h.QueryString = har.Query(u)
	}
	for _, line := range r.Header["Cookie"] {
		cookies, _ := http.ParseCookie(line)
		for _, c := range cookies {
			h.Cookies = append(h.Cookies, har.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	if len(r.Body) > 0 {
		h.PostData = har.NewPostData(r.Body, r.Header.Get("Content-Type"))
	}
	return h
}

func (r *Response) har(extension *harExtension) har.Response {
	h := har.Response{
		Status: r.Status, StatusText: cmp.Or(r.Reason, http.StatusText(r.Status)), HTTPVersion: cmp.Or(r.Proto, "HTTP/1.1"), Headers: har.Headers(r.Header),
		RedirectURL: r.Header.Get("Location"), HeadersSize: -1, BodySize: -1,
	}
	for _, line := range r.Header["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil {
			shown := har.Cookie{Name: c.Name, Value: c.Value, Path: c.Path, Domain: c.Domain, HTTPOnly: c.HttpOnly, Secure: c.Secure}
			if !c.Expires.IsZero() {
				shown.Expires = c.Expires.UTC().Format(time.RFC3339)
			}
			h.Cookies = append(h.Cookies, shown)
		}
	}
	body, coding := r.Body(), r.Header.Get("Content-Encoding")
	decoded, err := body, error(nil)
	switch {
	case r.Uncompressed && coding == "": // net/http has removed the field, which browsers keep
		h.Headers = append(h.Headers, har.Pair{Name: "Content-Encoding", Value: "gzip"})
	case coding != "":
		if decoded, err = decode(body, coding); err != nil {
			decoded, extension.Encoded = body, true
		}
		h.BodySize = int64(len(body))
	default:
		h.BodySize = int64(len(body))
	}
	h.Content = har.NewContent(decoded, r.Header.Get("Content-Type"))
	if coding != "" && !extension.Encoded {
		h.Content.Compression = int64(len(decoded) - len(body))
		return h // the lengths of the chunks are those of the coded body
	}
	if extension.Encoded && len(body) > 0 {
		h.Content.Comment = "as it came, with its Content-Encoding"
	}
	for _, c := range r.Chunks {
		extension.Tape.Chunks = append(extension.Tape.Chunks, [2]int64{int64(c.At), int64(len(c.Data))})
	}
	return h
}

// maxDecoded bounds content that is decoded for an archive. Larger content is written as it came.
const maxDecoded = har.MaxEntryBytes / 4

// decode removes a content coding (RFC 9110 §8.4.1) that the standard library knows.
func decode(body []byte, coding string) ([]byte, error) {
	var r io.Reader
	var err error
	switch strings.ToLower(coding) {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return nil, http.ErrNotSupported
	}
	if err != nil {
		return nil, err
	}
	decoded, err := io.ReadAll(io.LimitReader(r, maxDecoded))
	if err == nil && len(decoded) == maxDecoded {
		err = har.ErrTooLarge
	}
	return decoded, err
}

// trailers returns trailer fields as an archive of these options shows them.
func trailers(t http.Header, o *har.Options) []har.Pair {
	if len(t) == 0 {
		return nil
	}
	pairs := har.Headers(t)
	for i, p := range pairs {
		pairs[i].Value = o.HeaderValue(p.Name, p.Value)
	}
	return pairs
}
