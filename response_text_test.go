package ply_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/plyhttp/ply"
)

func TestText(t *testing.T) {
	tests := []struct{ name, media, content, want, err string }{
		{name: "nothing said", content: "Grüße", want: "Grüße"},
		{name: "utf-8", media: "text/plain; charset=UTF-8", content: "Grüße", want: "Grüße"},
		{name: "utf8", media: `text/plain; charset="utf8"`, content: "Grüße", want: "Grüße"},
		{name: "odd Content-Type", media: "; =", content: "Grüße", want: "Grüße"},
		{name: "no text at all", content: "", want: ""},
		{name: "byte order mark", content: "\ufeffGrüße", want: "Grüße"},
		{name: "byte order mark against the charset", media: "text/plain; charset=iso-8859-1", content: "\ufeffGrüße", want: "Grüße"},
		{name: "byte order mark against an unknown charset", media: "text/plain; charset=x", content: "\ufeffGrüße", want: "Grüße"},
		{name: "not utf-8", content: "a\xffb", want: "a\ufffdb"},

		{name: "iso-8859-1", media: "text/plain; charset=ISO-8859-1", content: "Gr\xfc\xdfe", want: "Grüße"},
		{name: "latin1", media: "text/plain; charset=latin1", content: "Gr\xfc\xdfe", want: "Grüße"},
		{name: "latin1 beside a parameter that is none", media: "text/plain; foo; charset=latin1", content: "Gr\xfc\xdfe", want: "Grüße"},
		{name: "latin1 behind an empty parameter", media: `text/plain;; Charset="latin1"`, content: "Gr\xfc\xdfe", want: "Grüße"},
		{name: "unknown, beside a parameter that is none", media: "text/plain; charset=koi8-r; foo", content: "a", err: `charset "koi8-r" is not known`},
		{name: "us-ascii", media: "text/plain; charset=us-ascii", content: "abc\x00\x7f", want: "abc\x00\x7f"},
		{name: "windows-1252", media: "text/plain; charset=windows-1252", content: "\x80\x81\x93\x9f\xa0\xff", want: "€\u0081“Ÿ\u00a0ÿ"},

		{name: "utf-16, big end first", media: "text/plain; charset=utf-16", content: "\xfe\xff\x00G\x00\xfc\xd8\x3d\xde\x00", want: "Gü😀"},
		{name: "utf-16, little end first", media: "text/plain; charset=utf-16", content: "\xff\xfeG\x00\xfc\x00\x3d\xd8\x00\xde", want: "Gü😀"},
		{name: "utf-16, nothing said", content: "\xff\xfeG\x00", want: "G"},
		{name: "utf-16le", media: "text/plain; charset=utf-16le", content: "G\x00\xfc\x00", want: "Gü"},
		{name: "utf-16be", media: "text/plain; charset=utf-16be", content: "\x00G\x00\xfc", want: "Gü"},
		{name: "utf-16, cut and half pairs", content: "\xfe\xff\xd8\x3d\x00G\xde\x00\xd8\x3d\x00", want: "\ufffdG\ufffd\ufffd\ufffd"},
		{name: "utf-16, no byte order mark", media: "text/plain; charset=utf-16", content: "\x00G", err: "charset utf-16 without a byte order mark"},

		{name: "unknown", media: "text/plain; charset=Shift_JIS", content: "Ann", err: `charset "shift_jis" is not known: take ply.Bytes`},
		{name: "unknown and long", media: "text/plain; charset=" + strings.Repeat("x", 1000), content: "Ann", err: strings.Repeat("x", 100) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, resp, err := served{body: literalSegment(tt.content, iotest.HalfReader), media: tt.media}.get(t.Context())
			got, err := ply.Text(resp, err)
			if got != tt.want || body.closed != 1 {
				t.Errorf("got %q, want %q; closed %d times", got, tt.want, body.closed)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil {
				checkError(t, err, err, 0)
			}
		})
	}
}

func TestJSONObeysTheCharset(t *testing.T) {
	const want = "Grüße"
	tests := []struct{ name, media, content, err string }{
		{"nothing said", "application/json", `"Grüße"`, ""},
		{"utf-8", "application/json; charset=utf-8", `"Grüße"`, ""},
		{"byte order mark", "application/json; charset=iso-8859-1", "\ufeff\"Grüße\"", ""},
		{"iso-8859-1", "application/json; charset=ISO-8859-1", "\"Gr\xfc\xdfe\"", ""},
		{"windows-1252", "application/json; charset=windows-1252", "\"Gr\xfc\xdfe\"", ""},
		{"escapes in any charset", "application/json; charset=x-unknown", `"Gr\u00fc\u00dfe"`, ""},
		{"us-ascii that is more", "application/json; charset=us-ascii", `"Grüße"`, ""},
		{"utf-16le", "application/json; charset=utf-16le", "\"\x00G\x00r\x00\xfc\x00\xdf\x00e\x00\"\x00", ""},
		{"utf-16 by its mark", "application/json", "\xfe\xff\x00\"\x00G\x00r\x00\xfc\x00\xdf\x00e\x00\"", ""},
		{"utf-16 without its mark", "application/json; charset=utf-16", "\x00\"\x00G", "byte order mark"},
		{"unknown, with escapes", "application/json; charset=iso-2022-jp", "\"\x1b$B$\"\x1b(B\"", `charset "iso-2022-jp" is not known`},
		{"unknown, in seven bits", "application/json; charset=utf-7", `"Gr+APwA3w-e"`, `charset "utf-7" is not known`},
		{"unknown", "application/json; charset=Shift_JIS", "\"\x83\"", `charset "shift_jis" is not known`},
	}
	for _, tt := range tests {
		for name, decode := range map[string]func(*http.Response, error) (string, error){"JSON": ply.JSON[string], "Decode": ply.Decode[string](json.Unmarshal)} {
			_, resp, err := served{body: literalSegment(tt.content), media: tt.media}.get(t.Context())
			got, err := decode(resp, err)
			var decodeErr *ply.DecodeError
			switch {
			case tt.err == "" && (got != want || err != nil):
				t.Errorf("%s, %s: %q, %v", name, tt.name, got, err)
			case tt.err != "" && (!errors.As(err, &decodeErr) || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("%s, %s: error %v, want %q", name, tt.name, err, tt.err)
			}
		}
	}
}

func TestDecodeConvertsTextToUTF8(t *testing.T) {
	const declared = "<?xml version='1.0' encoding='iso-8859-1'?><a>\xfc</a>"
	tests := []struct{ name, media, content, want string }{
		{"XML", "text/xml; charset=iso-8859-1", "<a>\xfc</a>", "<a>ü</a>"},
		{"XML that says so itself", "text/xml; charset=iso-8859-1", declared, declared},
		{"no text", "application/x-protobuf", "\xfe\xff\x00\x01", "\xfe\xff\x00\x01"},
	}
	for _, tt := range tests {
		_, resp, err := served{body: literalSegment(tt.content), media: tt.media}.get(t.Context())
		got, err := ply.Decode[string](func(b []byte, v any) error { *v.(*string) = string(b); return nil })(resp, err)
		if got != tt.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

// net/http removes gzip if it requested it, and the field with it.
func TestErrorsNameTheContentEncoding(t *testing.T) {
	for _, coding := range []string{"br", "zstd", "gzip", "Deflate", "br, gzip"} {
		for _, r := range []reader{readers[0], {"Text", ply.Text}} {
			_, resp, err := served{body: literalSegment("\x1f\x8b\x08"), header: http.Header{"Content-Encoding": {coding}}}.get(t.Context())
			_, err = r.read(resp, err)
			var decode *ply.DecodeError
			if !errors.As(err, &decode) || decode.ContentEncoding != strings.ToLower(coding) || !strings.Contains(err.Error(), strings.ToLower(coding)) {
				t.Errorf("%s of %s: error %v", r.name, coding, err)
			}
		}
		_, resp, err := served{body: literalSegment("\x1f\x8b"), header: http.Header{"Content-Encoding": {coding}}}.get(t.Context())
		if b, err := ply.Bytes(resp, err); string(b) != "\x1f\x8b" || err != nil {
			t.Errorf("Bytes of %s: %q, %v; want them as they came", coding, b, err)
		}
	}
	for _, harmless := range []string{"identity", "", "utf-8", "none"} {
		_, resp, err := served{body: literalSegment(annJSON), header: http.Header{"Content-Encoding": {harmless}}}.get(t.Context())
		if _, err := ply.JSON[user](resp, err); err != nil {
			t.Errorf("%q: %v", harmless, err)
		}
	}
}
