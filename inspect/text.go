package inspect

import (
	"bytes"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plyhttp/ply/redact"
)

// What a page is given at most of one text, in bytes, and of one list.
const (
	maxWord   = 200
	maxText   = 2 << 10
	maxURL    = 8 << 10
	maxValue  = 4 << 10
	maxFields = 200
	maxLayers = 20

	maxWaterfall = 64 << 10
)

// cleanText is a text as UTF-8, no longer than n bytes. JSON escapes what is left: control characters, and what HTML would read as markup.
func cleanText(s string, n int) string {
	if len(s) > n {
		cut := n
		for cut > 0 && cut > n-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// fields are the fields of a header by name, without secrets.
func fields(r *redact.Redactor, h http.Header) []pair {
	all := []pair{}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			if len(all) == maxFields {
				return append(all, pair{"…", "more fields are not shown"})
			}
			all = append(all, pair{cleanText(name, maxWord), cleanText(r.HeaderValue(name, v), maxValue)})
		}
	}
	return all
}

func mediaType(h http.Header) string {
	value := h.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(value); err == nil {
		return t
	}
	t, _, _ := strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// bodyView is a body as the page shows it.
type bodyView struct {
	Size        int64  `json:"size"`
	Text        string `json:"text,omitempty"`
	Binary      bool   `json:"binary,omitempty"`
	Hidden      string `json:"hidden,omitempty"`
	Truncated   bool   `json:"truncated,omitempty"`
	Encoding    string `json:"encoding,omitempty"`
	MediaType   string `json:"mediaType,omitempty"`
	Open        bool   `json:"open,omitempty"`
	ClosedEarly bool   `json:"closedEarly,omitempty"`
	Error       string `json:"error,omitempty"`
}

// shown returns a body with its text, as far as it is kept and is text, without its secrets.
func (o *Options) shown(c copyOf, h http.Header) *bodyView {
	b := &bodyView{Size: c.size, MediaType: cleanText(mediaType(h), maxWord), Encoding: cleanText(h.Get("Content-Encoding"), maxWord)}
	b.Truncated = int64(len(c.data)) < c.size
	switch {
	case strings.EqualFold(b.Encoding, "identity"):
		b.Encoding = ""
	case b.Encoding != "":
		b.Binary = true
		return b
	}
	if o.MaxBodyBytes < 0 && c.size > 0 {
		b.Hidden = "Options.MaxBodyBytes keeps no bodies"
		return b
	}
	data := whole(c.data, b.Truncated)
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		b.Binary = true
		return b
	}
	b.Text = strings.ToValidUTF8(string(o.Mask(mediaType(h), bytes.Clone(data))), "\uFFFD")
	return b
}

// whole leaves out the bytes of a last character that a cut has left incomplete.
func whole(p []byte, cut bool) []byte {
	if !cut {
		return p
	}
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if last := p[len(p)-i]; utf8.RuneStart(last) {
			if !utf8.FullRune(p[len(p)-i:]) {
				return p[:len(p)-i]
			}
			break
		}
	}
	return p
}
