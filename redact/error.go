package redact

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/internal/parseerror"
)

// Error returns an error with the text of err without its secrets: what [Redactor.Text] hides, and what
// net/http quotes of a response that it could not read. However the error is printed or encoded, it shows only that text.
// errors.Is and errors.As see through it. An err without a secret is returned as it is; nil stays nil.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	clean := r.ErrorText(err)
	if clean == err.Error() {
		return err
	}
	return &redacted{text: clean, err: err}
}

// ErrorText is the text of [Redactor.Error], and "" for nil.
func (r *Redactor) ErrorText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var ue *url.Error
	if errors.As(err, &ue) {
		text = strings.ReplaceAll(text, ue.Error(), r.urlError(ue))
	}
	return r.Text(withoutQuotes(text))
}

// urlError is the text of ue with its URL redacted.
func (r *Redactor) urlError(ue *url.Error) string {
	inner := r.ErrorText(ue.Err)
	if ue.Op == "parse" {
		inner = parseerror.Hide(inner, Placeholder)
	}
	return ue.Op + ` "` + r.URLText(ue.URL) + `": ` + inner
}

// quoting are phrases after which an error quotes what came over the wire: fields, status lines, invalid numbers.
var quoting = []string{
	"malformed MIME header", "malformed HTTP ", "short response: ", "invalid response code: ", "unexpected multi-line response: ",
	"bad Content-Length ", "Content-Length headers; got ", "bad trailer key ", "invalid Trailer key ", "failed to parse Location header ", "transfer encoding", "parsing ",
}

// withoutQuotes hides what errors of net/http, net/textproto, strconv and time quote of a response.
func withoutQuotes(s string) string {
	for _, beginning := range quoting {
		if strings.Contains(s, beginning) {
			s = hideBehind(s, beginning)
		}
	}
	return s
}

func hideBehind(s, beginning string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, beginning)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		i += len(beginning)
		b.WriteString(s[:i])
		s = hideQuoted(&b, s[i:])
	}
}

// hideQuoted hides the quoted strings near the beginning of s, and returns what follows them.
func hideQuoted(b *strings.Builder, s string) string {
	const soon = 64
	for i := strings.IndexByte(s[:min(len(s), soon)], '"'); i >= 0; {
		b.WriteString(s[:i])
		quoted, err := strconv.QuotedPrefix(s[i:])
		if err != nil {
			b.WriteString(Placeholder) // cut, or quoted by another rule
			return ""
		}
		b.WriteString(`"` + Placeholder + `"`)
		s = s[i+len(quoted):]
		if i = strings.IndexByte(s[:min(len(s), 2)], '"'); i < 0 {
			break // not the next member of a list
		}
	}
	return s
}

type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }

// Timeout reports whether the hidden error is a timeout: net/http and its callers ask by assertion.
func (e *redacted) Timeout() bool {
	t, ok := e.err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// Format prints the text for each verb and flag. Otherwise %#v would print the fields of the hidden error.
func (e *redacted) Format(f fmt.State, verb rune) { fmt.Fprintf(f, fmt.FormatString(f, verb), e.text) }

// MarshalText returns the text, so that JSON shows nothing else either.
func (e *redacted) MarshalText() ([]byte, error) { return []byte(e.text), nil }
