package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable returns s with what could steer a terminal written as text: control characters, bytes that are no UTF-8, and the characters that change
// the direction of writing. Line feeds and tabs stay. A header field, a URL or an error of a server can do nothing but be read then.
func printable(s string) string {
	if strings.IndexFunc(s, steersTerminal) < 0 && utf8.ValidString(s) {
		return s
	}
	return escaped(s, `\x%02x`)
}

// printableJSON is [printable] for JSON, where such characters stand in strings alone: escaped there, they remain what they are for programs.
func printableJSON(s string) string { return escaped(s, `\u%04x`) }

// escaped writes what could steer a terminal as low says, for what is below U+0100, and else as \u and its digits.
func escaped(s, low string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, low, s[i])
		case !steersTerminal(r):
			b.WriteString(s[i : i+n])
		case r < 0x100:
			fmt.Fprintf(&b, low, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// printableLine is [printable] for what must stay on one line.
func printableLine(s string) string {
	return strings.ReplaceAll(printable(s), "\n", `\n`)
}

// steersTerminal reports whether a terminal may do something else with r than show it.
func steersTerminal(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// A printableWriter writes text to a terminal as [printable] shows it, or JSON as [printableJSON] does. A carriage return before a line feed is dropped.
// What may be the beginning of a longer character waits for the next Write, or for Close.
type printableWriter struct {
	w    io.Writer
	json bool
	rest []byte // at most utf8.UTFMax-1 bytes of a character, or a carriage return
}

func (p *printableWriter) Write(b []byte) (int, error) {
	text := append(p.rest, b...)
	whole := len(text) - unfinished(text)
	p.rest = append([]byte(nil), text[whole:]...)
	if err := p.show(text[:whole]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close writes what waited for more. It does not close the terminal.
func (p *printableWriter) Close() error {
	rest := p.rest
	p.rest = nil
	return p.show(rest)
}

func (p *printableWriter) show(text []byte) error {
	show := printable
	if p.json {
		show = printableJSON
	}
	_, err := io.WriteString(p.w, show(strings.ReplaceAll(string(text), "\r\n", "\n")))
	return err
}

// unfinished returns how many bytes at the end of text are the beginning of something that the next bytes decide on.
func unfinished(text []byte) int {
	if n := len(text); n > 0 && text[n-1] == '\r' {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		tail := text[len(text)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
