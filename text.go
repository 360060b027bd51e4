package ply

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text reads the body of a response as [Bytes] does, and returns it in UTF-8.
//
// A byte order mark tells the encoding and is dropped; without one the charset of the Content-Type does, and without that it is UTF-8.
// Known besides UTF-8 are UTF-16 and windows-1252, which the Encoding Standard of the WHATWG makes of us-ascii and iso-8859-1 as well.
// Others are an error: take Bytes and decode them. Bytes that the encoding does not allow become U+FFFD.
func Text(resp *http.Response, err error) (string, error) {
	if resp, err = received(resp, err); err != nil {
		return "", err
	}
	content, err := readBody(resp)
	if err != nil {
		return "", err
	}
	text, err := decodeText(content, charsetOf(resp))
	if err != nil {
		return "", fmt.Errorf("ply: text of %s: %w", nameOfExchange(resp), err)
	}
	return text, nil
}

// charsetOf is the charset that the Content-Type of resp names, in lower case, or "".
func charsetOf(resp *http.Response) string {
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(params["charset"]))
}

func decodeText(content []byte, charset string) (string, error) {
	if decode, rest := byteOrderMark(content); decode != nil {
		return decode(rest), nil
	}
	if charset == "utf-16" {
		return "", errors.New("charset utf-16 without a byte order mark: take ply.Bytes and decode them")
	}
	if decode := decoders[charset]; decode != nil {
		return decode(content), nil
	}
	if len(charset) > maxName {
		charset = charset[:maxName] + "…"
	}
	return "", fmt.Errorf("charset %q is not known: take ply.Bytes and decode them", charset)
}

// byteOrderMark gives the decoder for content that begins with a mark, and the content behind it.
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

// decoders has the names that the Encoding Standard gives to the encodings known here, "" being that of a text that names none.
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

// windows1252 has what the bytes from 0x80 to 0x9f stand for; the others are as in Unicode.
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
