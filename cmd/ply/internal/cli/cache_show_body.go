package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"unicode/utf8"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/logging"
)

// A shownBody is the beginning of a stored body as ply cache show has it: decoded, and a text without what is secret in it by its name.
type shownBody struct {
	Text      *string `json:",omitempty"`
	Base64    *string `json:",omitempty"` // of what is no text
	Truncated bool    `json:",omitempty"`
	Error     string  `json:",omitempty"` // why it cannot be decoded
}

// beginningOf reads the first limit bytes of the body of an entry. The text may be longer or shorter than these, for secrets are replaced.
func beginningOf(ctx context.Context, entry *cache.Entry, limit int64) (*shownBody, error) {
	stored, err := entry.Open(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := decoded(ctx, stored)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	limit = min(limit, math.MaxInt64-1)
	var read bytes.Buffer
	_, err = io.Copy(&read, io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil && len(stored.Header["Content-Encoding"]) > 0:
		return &shownBody{Error: errorText(err)}, nil
	case err != nil:
		return nil, err
	}
	b := &shownBody{Truncated: int64(read.Len()) > limit}
	beginning := read.Bytes()
	if b.Truncated {
		beginning = beginning[:limit]
		beginning = beginning[:len(beginning)-unfinished(beginning)] // the last character may be cut
	}
	if !utf8.Valid(beginning) || bytes.IndexByte(beginning, 0) >= 0 {
		encoded := base64.StdEncoding.EncodeToString(beginning)
		b.Base64 = &encoded
		return b, nil
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	text := string(logging.MaskSecrets(mediaType, beginning))
	b.Text = &text
	return b, nil
}

// decoded returns a response without its content codings, as far as they are known.
func decoded(ctx context.Context, resp *http.Response) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stored.invalid/", nil)
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return decode.New(decode.Options{})(answering{resp}).RoundTrip(req)
}

// answering answers each request with one response.
type answering struct{ resp *http.Response }

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := *a.resp
	resp.Header, resp.Request = resp.Header.Clone(), r
	return &resp, nil
}

// write writes the body for people.
func (b *shownBody) write(w io.Writer) error {
	switch {
	case b.Error != "":
		_, err := fmt.Fprintf(w, "(cannot be decoded: %s; --raw writes it)\n", printableLine(b.Error))
		return err
	case b.Text == nil:
		_, err := fmt.Fprintln(w, "(not text: --raw writes it)")
		return err
	}
	p := &printableWriter{w: w}
	_, err := io.WriteString(p, *b.Text)
	if err = errors.Join(err, p.Close()); err != nil {
		return err
	}
	text := ""
	if b.Truncated {
		text = "\n(and more: --body says how much is shown, --raw writes all of it)"
	}
	_, err = fmt.Fprintln(w, text)
	return err
}

// writeEntryJSON writes an entry as [cache.WriteJSON] does, with the body as it is shown. Without one it may be nil.
func writeEntryJSON(w io.Writer, entry *cache.Entry, body *shownBody) error {
	form, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		form = append(append(append(form[:len(form)-1], `,"Body":`...), text...), '}')
	}
	var out bytes.Buffer
	if err := json.Indent(&out, form, "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err = out.WriteTo(w)
	return err
}
