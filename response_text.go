package ply

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text reads the body of a successful response as [Bytes] does, and returns it in UTF-8. With a [*StatusError] it returns the text of the error document.
//
// The encoding is that of a byte order mark, which is dropped, or else the charset of the Content-Type, or else UTF-8.
// Text knows UTF-8, UTF-16 and windows-1252, which the Encoding Standard of the WHATWG uses for us-ascii and iso-8859-1, too.
// Any other charset is an error: use Bytes and decode them. Content that is still encoded is a [*DecodeError] that names its Content-Encoding.
// Bytes that the charset does not allow become U+FFFD.
func Text(resp *http.Response, err error) (string, error) {
	if resp, err = successful(resp, err); err != nil {
		d := documentOf(err)
		if encodingOf(d.header) != "" {
			return "", err
		}
		text, _ := decodeText(d.content, charsetOf(d.header))
		return text, err
	}
	content, err := readBody(resp)
	if err != nil {
		return "", err
	}
	if coding := encodingOf(resp.Header); coding != "" && len(content) > 0 {
		e := &DecodeError{Type: reflect.TypeFor[string](), MediaType: mediaType(resp.Header), ContentEncoding: coding, Err: errEncoded}
		e.Method, e.URL = requestOf(resp)
		return "", e
	}
	text, err := decodeText(content, charsetOf(resp.Header))
	if err != nil {
		return "", fmt.Errorf("ply: text of %s: %w", requestLineOf(resp), err)
	}
	return text, nil
}

var errEncoded = errors.New("the bytes are no text")

// encodingOf returns the Content-Encoding in header if it names a content coding, or "" (RFC 9110 §8.4). net/http removes the field when it decompresses.
// Values that are no codings, such as a charset, are ignored.
func encodingOf(header http.Header) string {
	value := strings.ToLower(strings.Join(header.Values("Content-Encoding"), ", "))
	for name := range strings.SplitSeq(value, ",") {
		switch strings.TrimSpace(name) {
		case "br", "compress", "dcb", "dcz", "deflate", "gzip", "x-compress", "x-gzip", "zstd":
			if len(value) > maxName {
				return value[:maxName] + "…"
			}
			return value
		}
	}
	return ""
}

// charsetOf returns the charset that Content-Type names, in lower case, or "".
func charsetOf(header http.Header) string {
	value := header.Get("Content-Type")
	_, params, err := mime.ParseMediaType(value)
	if err != nil {
		return charsetIn(value)
	}
	return strings.ToLower(strings.TrimSpace(params["charset"]))
}

// charsetIn finds the first charset in a Content-Type that has something else wrong, as browsers do.
func charsetIn(contentType string) string {
	_, params, _ := strings.Cut(contentType, ";")
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "charset") {
			return strings.ToLower(strings.Trim(value, " \t\""))
		}
	}
	return ""
}

// charsetError says that a charset cannot be decoded. It quotes nothing of the content.
type charsetError struct{ charset string }

func (e *charsetError) Error() string {
	if e.charset == "utf-16" {
		return "charset utf-16 without a byte order mark: take ply.Bytes and decode them"
	}
	name := e.charset
	if len(name) > maxName {
		name = name[:maxName] + "…"
	}
	return fmt.Sprintf("charset %q is not known: take ply.Bytes and decode them", name)
}

func decodeText(content []byte, charset string) (string, error) {
	if decode, rest := byteOrderMark(content); decode != nil {
		return decode(rest), nil
	}
	if decode := decoders[charset]; decode != nil {
		return decode(content), nil
	}
	return "", &charsetError{charset}
}

// inUTF8 returns the content of the document for a decoder that expects UTF-8. Content without a charset, or in UTF-8, is returned as it is.
func (d document) inUTF8(media string) ([]byte, error) {
	if rest, ok := bytes.CutPrefix(d.content, []byte("\xef\xbb\xbf")); ok {
		return rest, nil
	}
	charset := charsetOf(d.header)
	textual := d.json || charset != "" || strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "json") || strings.HasSuffix(media, "xml")
	if decode, rest := byteOrderMark(d.content); decode != nil && textual {
		return []byte(decode(rest)), nil
	}
	known := decoders[charset] != nil || strings.HasPrefix(charset, "utf-")
	switch {
	case charset == "", charset == "utf-8", charset == "utf8", charset == "unicode-1-1-utf-8",
		declaresEncoding(d.content, media),
		!known && isPlainASCII(d.content), // an unknown charset, but almost all extend ASCII
		strings.HasSuffix(charset, "ascii") && utf8.Valid(d.content):
		return d.content, nil
	}
	text, err := decodeText(d.content, charset)
	return []byte(text), err
}

// declaresEncoding reports whether content is XML that names its encoding, which XML decoders heed (XML 1.0 §4.3.3).
func declaresEncoding(content []byte, media string) bool {
	if !strings.HasSuffix(media, "xml") {
		return false
	}
	declaration, _, _ := bytes.Cut(content[:min(len(content), 200)], []byte("?>"))
	return bytes.HasPrefix(declaration, []byte("<?xml")) && bytes.Contains(declaration, []byte("encoding"))
}

// isPlainASCII reports whether content is ASCII without the control characters with which some charsets switch to others (ISO 2022).
func isPlainASCII(content []byte) bool {
	for _, c := range content {
		if c >= utf8.RuneSelf || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}

// byteOrderMark returns the decoder for content that begins with a byte order mark, and the content after the mark, or nil.
func byteOrderMark(content []byte) (func([]byte) string, []byte) {
	for _, m := range []struct {
		mark   string
		decode func([]byte) string
	}{{"\xef\xbb\xbf", fromUTF8}, {"\xfe\xff", fromUTF16BE}, {"\xff\xfe", fromUTF16LE}} {
		if rest, ok := bytes.CutPrefix(content, []byte(m.mark)); ok {
			return m.decode, rest
		}
	}
	return nil, nil
}

// decoders maps the Encoding Standard's labels of the supported encodings to their decoders; "" stands for text that names no charset.
var decoders = map[string]func([]byte) string{
	"":                  fromUTF8,
	"utf-8":             fromUTF8,
	"utf8":              fromUTF8,
	"unicode-1-1-utf-8": fromUTF8,
	"utf-16le":          fromUTF16LE,
	"utf-16be":          fromUTF16BE,
	"us-ascii":          fromWindows1252,
	"ascii":             fromWindows1252,
	"ansi_x3.4-1968":    fromWindows1252,
	"iso-8859-1":        fromWindows1252,
	"iso8859-1":         fromWindows1252,
	"iso88591":          fromWindows1252,
	"iso_8859-1":        fromWindows1252,
	"latin1":            fromWindows1252,
	"l1":                fromWindows1252,
	"windows-1252":      fromWindows1252,
	"cp1252":            fromWindows1252,
	"x-cp1252":          fromWindows1252,
}

func fromUTF8(content []byte) string {
	return strings.ToValidUTF8(string(content), string(utf8.RuneError))
}

func fromUTF16LE(content []byte) string { return fromUTF16(content, binary.LittleEndian) }
func fromUTF16BE(content []byte) string { return fromUTF16(content, binary.BigEndian) }

func fromUTF16(content []byte, order binary.ByteOrder) string {
	var text strings.Builder
	text.Grow(len(content) / 2)
	for ; len(content) >= 2; content = content[2:] {
		r := rune(order.Uint16(content))
		if utf16.IsSurrogate(r) && len(content) >= 4 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(content[2:]))); pair != utf8.RuneError {
				r, content = pair, content[2:]
			}
		}
		text.WriteRune(r) // half a pair becomes U+FFFD
	}
	if len(content) > 0 {
		text.WriteRune(utf8.RuneError)
	}
	return text.String()
}

// windows1252 maps the bytes from 0x80 to 0x9f; all others are as in Unicode.
var windows1252 = [32]rune{
	0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
}

func fromWindows1252(content []byte) string {
	var text strings.Builder
	text.Grow(len(content))
	for _, c := range content {
		r := rune(c)
		if 0x80 <= c && c < 0xa0 {
			r = windows1252[c-0x80]
		}
		text.WriteRune(r)
	}
	return text.String()
}
