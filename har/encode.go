package har

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// Options say how an archive is written. The zero Options hide what may be secret.
type Options struct {
	// Redactor decides what is shown of URLs, queries and header fields. Nil hides everything that may be secret.
	// Values of cookies and of forms, and other content of requests, are hidden in any case.
	// What stands for a secret in an entry already, REDACTED or REDACTED with a number (REDACTED-2), stays.
	Redactor *redact.Redactor

	// KeepSecrets writes everything as it is, the content of requests included. An archive with secrets is like a password: who has it can act as the user.
	KeepSecrets bool

	// OmitBodies leaves out the content of responses, which is written as it is otherwise: what servers answer may be secret, and only the program knows.
	OmitBodies bool

	// Creator is the program that makes the archive. Zero means ply.
	Creator Creator

	// Comment is about the whole archive.
	Comment string
}

// An Encoder writes an archive, entry by entry. Make one with [NewEncoder]. It is not safe for concurrent use.
// Without [Encoder.Close] the archive has no end.
type Encoder struct {
	w       io.Writer
	o       Options
	entries int
	err     error
}

// NewEncoder returns an encoder of an archive. The first bytes are written with the first entry. It does not close w.
func NewEncoder(w io.Writer, o Options) *Encoder {
	if o.Creator == (Creator{}) {
		o.Creator = Creator{Name: "ply", Version: "1"}
	}
	return &Encoder{w: w, o: o}
}

// errClosed is the error of an entry after the end.
var errClosed = errors.New("har: the archive has been closed")

// Encode writes an entry, which it does not change. After an error of the writer, each call returns that.
func (d *Encoder) Encode(e *Entry) error {
	if d.err != nil {
		return d.err
	}
	text, err := json.Marshal(d.o.shown(e))
	if err != nil {
		return err
	}
	separator := ",\n"
	if d.entries == 0 {
		if d.begin(); d.err != nil {
			return d.err
		}
		separator = "\n"
	}
	d.entries++
	d.write([]byte(separator))
	d.write(text)
	return d.err
}

func (d *Encoder) begin() {
	head := struct {
		Version string  `json:"version"`
		Creator Creator `json:"creator"`
		Comment string  `json:"comment,omitempty"`
	}{"1.2", d.o.Creator, d.o.Comment}
	text, err := json.Marshal(head)
	if err != nil {
		d.err = err
		return
	}
	d.write([]byte(`{"log":` + strings.TrimSuffix(string(text), "}") + `,"entries":[`))
}

func (d *Encoder) write(p []byte) {
	if d.err == nil {
		_, d.err = d.w.Write(p)
	}
}

// Close writes the end. Later calls return an error.
func (d *Encoder) Close() error {
	if d.entries == 0 && d.err == nil {
		d.begin()
	}
	d.write([]byte("\n]}}\n"))
	err := d.err
	d.err = cmp.Or(err, errClosed)
	return err
}

// shown returns a copy of an entry as it may be written. Lists that the format wants are there, if empty.
func (o *Options) shown(e *Entry) *Entry {
	c := *e
	c.Request.Cookies, c.Response.Cookies = o.cookies(e.Request.Cookies), o.cookies(e.Response.Cookies)
	c.Request.Headers, c.Response.Headers = o.headers(e.Request.Headers), o.headers(e.Response.Headers)
	c.Request.QueryString = append([]Pair{}, e.Request.QueryString...)
	if o.OmitBodies {
		c.Response.Content.Text, c.Response.Content.Encoding = nil, ""
	}
	if o.KeepSecrets {
		return &c
	}
	c.Request.URL, c.Request.QueryString = o.url(e.Request.URL), o.query(e.Request.QueryString)
	if e.Response.RedirectURL != "" {
		c.Response.RedirectURL = o.url(e.Response.RedirectURL)
	}
	c.Comment, c.Request.Comment, c.Response.Comment = o.Redactor.Text(e.Comment), o.Redactor.Text(e.Request.Comment), o.Redactor.Text(e.Response.Comment)
	c.Response.StatusText = o.Redactor.Text(e.Response.StatusText)
	c.Response.Error, c.Response.FailureText = o.errorText(e.Response.Error), o.errorText(e.Response.FailureText)
	c.Request.PostData = hidden(e.Request.PostData)
	return &c
}

// errorText hides the secrets in the text of an error: what it quotes of a message, too.
func (o *Options) errorText(text string) string {
	return o.Redactor.ErrorText(errors.New(text))
}

func (o *Options) cookies(all []Cookie) []Cookie {
	shown := append([]Cookie{}, all...)
	for i := range shown {
		if !o.KeepSecrets && !isPlaceholder(shown[i].Value) {
			shown[i].Value = redact.Placeholder
		}
	}
	return shown
}

func (o *Options) headers(all []Pair) []Pair {
	shown := append([]Pair{}, all...)
	for i, p := range shown {
		shown[i].Value = o.HeaderValue(p.Name, p.Value)
	}
	return shown
}

// query hides the values of parameters, as in the URL.
func (o *Options) query(all []Pair) []Pair {
	shown := []Pair{}
	for _, p := range all {
		text := o.Redactor.Query(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
		name, value, named := strings.Cut(text, "=")
		if !named {
			shown = append(shown, Pair{Name: redact.Placeholder})
			continue
		}
		p.Name, _ = url.QueryUnescape(name)
		if value, _ = url.QueryUnescape(value); value != redact.Placeholder || !isPlaceholder(p.Value) {
			p.Value = value
		}
		shown = append(shown, p)
	}
	return shown
}

// hidden returns the content of a request without its values.
func hidden(p *PostData) *PostData {
	if p == nil {
		return nil
	}
	h := &PostData{MimeType: p.MimeType, Comment: p.Comment}
	if p.Text != "" {
		h.Text = redact.Placeholder
	}
	for _, param := range p.Params {
		h.Params = append(h.Params, Param{Name: param.Name, Value: redact.Placeholder, ContentType: param.ContentType})
	}
	return h
}
