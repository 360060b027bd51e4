package cache

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// JSONOptions say how [WriteJSON] writes an entry.
type JSONOptions struct {
	// Redactor decides what is shown of URLs and header fields. Nil is the one of the context, or else the default, which hides what may be secret.
	Redactor *redact.Redactor

	// MaxBody bounds how many bytes of the body are written. Zero means 4 KiB; a negative value, that none is.
	// Bodies are not redacted.
	MaxBody int64
}

// jsonEntry is the readable form of an entry. docs/cache-reference.md has its fields: names may be added, and stay.
type jsonEntry struct {
	URL      string
	Method   string
	Status   int
	Key      string
	KeyParts []KeyPart

	Requested time.Time
	Received  time.Time
	LastUsed  time.Time
	Expires   time.Time

	Fresh                bool
	Age                  string
	FreshFor             string // negative by as much as it is stale
	FreshnessLifetime    string
	StaleWhileRevalidate string `json:",omitempty"`
	StaleIfError         string `json:",omitempty"`
	Directives           []string

	Size      int64  // charged
	BodyBytes int64  // of the body
	Part      string `json:",omitempty"` // of the representation, as in Content-Range
	Tags      []string
	Header    http.Header
	Body      *jsonBody `json:",omitempty"`
}

// jsonBody is the body of an entry, or its beginning.
type jsonBody struct {
	Text      *string `json:",omitempty"`
	Base64    *string `json:",omitempty"`
	Truncated bool    `json:",omitempty"`
}

// MarshalJSON returns the readable form of the entry without its body; see [WriteJSON]. An Entry that comes from no cache is an error.
func (e *Entry) MarshalJSON() ([]byte, error) {
	if e.stored == nil {
		return nil, errors.New("cache: the Entry comes from no cache: take one that Entries yields")
	}
	return json.Marshal(e.json(nil, time.Now()))
}

// WriteJSON writes the readable form of an entry, for people and their tools: what it is, under which key it is stored, its times in RFC 3339, how fresh it is at this moment,
// its header, and the beginning of its body, as text if it is UTF-8, and otherwise in base64. docs/cache-reference.md lists the fields. The end is a newline.
//
// Secrets of the URL and the header are hidden, as the options say; the body is shown as it is. As [Entry.Open] does, it reads the body without a request, and its error is that of Open, or of w.
func WriteJSON(ctx context.Context, w io.Writer, e *Entry, o JSONOptions) error {
	if e == nil || e.stored == nil {
		return errors.New("cache: the Entry comes from no cache: take one that Entries yields")
	}
	if o.Redactor == nil {
		o.Redactor = redact.From(ctx)
	}
	form := e.json(o.Redactor, time.Now())
	if o.MaxBody == 0 {
		o.MaxBody = 4 << 10
	}
	if o.MaxBody > 0 {
		body, err := e.readable(ctx, o.MaxBody)
		if err != nil {
			return err
		}
		form.Body = body
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(form)
}

// readable returns the beginning of the body.
func (e *Entry) readable(ctx context.Context, limit int64) (*jsonBody, error) {
	resp, err := e.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var read bytes.Buffer
	if _, err := io.Copy(&read, io.LimitReader(resp.Body, limit)); err != nil {
		return nil, wrapped("open", err)
	}
	b := &jsonBody{Truncated: e.stored.Body.Size() > int64(read.Len())}
	if text, ok := textOf(read.Bytes(), b.Truncated); ok {
		b.Text = &text
	} else {
		encoded := base64.StdEncoding.EncodeToString(read.Bytes())
		b.Base64 = &encoded
	}
	return b, nil
}

// textOf returns bytes as text, if they are. Where they were cut, the last character may be incomplete.
func textOf(p []byte, cut bool) (string, bool) {
	for lost := 0; cut && lost < utf8.UTFMax-1 && len(p) > 1 && !utf8.Valid(p); lost++ {
		p = p[:len(p)-1]
	}
	return string(p), utf8.Valid(p) && !bytes.ContainsRune(p, 0)
}

// json returns the readable form of an entry at a moment, without its body.
func (e *Entry) json(r *redact.Redactor, now time.Time) *jsonEntry {
	s := e.stored
	parts := e.KeyParts()
	for i, p := range parts {
		if p.Name == "URI" {
			parts[i].Value = r.URLText(s.URL)
		}
	}
	form := &jsonEntry{
		URL: r.URLText(s.URL), Method: e.Method(), Status: s.Status, Key: e.Key(), KeyParts: parts,
		Requested: jsonTime(s.Requested), Received: jsonTime(s.Received), LastUsed: jsonTime(e.LastUsed()), Expires: jsonTime(e.Expires()),
		Fresh: e.Fresh(now), Age: jsonDuration(s.Age(now)), FreshFor: jsonDuration(s.FreshFor(now)), FreshnessLifetime: jsonDuration(s.Rules.Lifetime),
		Directives: directivesOf(s), Size: s.Size, BodyBytes: s.Body.Size(), Tags: make([]string, len(s.Tags)), Header: r.Header(s.Header.Map()),
	}
	if s.Rules.StaleWhileRevalidate > 0 {
		form.StaleWhileRevalidate = jsonDuration(s.Rules.StaleWhileRevalidate)
	}
	if s.Rules.StaleIfError > 0 {
		form.StaleIfError = jsonDuration(s.Rules.StaleIfError)
	}
	if s.Part != nil {
		form.Part = s.Part.String()
	}
	for i, tag := range s.Tags {
		form.Tags[i] = hex.EncodeToString(tag[:])
	}
	return form
}

// directivesOf are what the rules of an entry say beside its lifetime, in the words of Cache-Control where it has them.
func directivesOf(s *stored.Entry) []string {
	all := []string{}
	for _, d := range [...]struct {
		name string
		on   bool
	}{
		{"no-cache", s.Rules.NoCache}, {"must-revalidate", s.Rules.MustRevalidate}, {"immutable", s.Rules.Immutable},
		{"sliding", s.Rules.Sliding}, {"refreshed-ahead", s.Rules.RefreshesAhead()}, {"event-stream", s.Pacing() != ""},
	} {
		if d.on {
			all = append(all, d.name)
		}
	}
	return all
}

// jsonTime is a time to the millisecond, in UTC, without the monotonic clock. What cannot be written as RFC 3339 is the end of what can.
func jsonTime(t time.Time) time.Time {
	if t = t.Round(0).UTC().Truncate(time.Millisecond); t.Year() > 9999 {
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return t
}

func jsonDuration(d time.Duration) string {
	text := d.Truncate(time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
