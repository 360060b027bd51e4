package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPrintableShowsWhatWouldSteerATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain äß 語\n\tx":         "plain äß 語\n\tx",
		"\x1b]0;title\x07":        `\x1b]0;title\x07`,
		"\x1b[31mred":             `\x1b[31mred`,
		"back\rover":              `back\x0dover`,
		"\u009b2J":                `\x9b2J`,
		"bytes \xff\xfe":          `bytes \xff\xfe`,
		"turn \u202egnp.exe":      `turn \u202egnp.exe`,
		"line\u2028separator":     `line\u2028separator`,
		"replacement \ufffd char": "replacement \ufffd char",
	} {
		assert.Equal(t, want, printable(in))
	}
	assert.Equal(t, `a\nb`, printableLine("a\nb"))
}

func TestPrintableWriterShowsTheSameHoweverTheTextIsCut(t *testing.T) {
	const text = "ä語\r\n\x1b[31mred\x1b[0m \xe8\xaa end\r"
	for size := 1; size <= len(text); size++ {
		var out strings.Builder
		p := &printableWriter{w: &out}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			written, err := p.Write([]byte(rest[:n]))
			assert.NoError(t, err)
			assert.Equal(t, n, written)
			rest = rest[n:]
		}
		assert.NoError(t, p.Close())
		assert.Equal(t, "ä語\n"+`\x1b[31mred\x1b[0m \xe8\xaa end\x0d`, out.String(), "in pieces of %d bytes", size)
	}
}

func TestColoursAreForTerminalsOnlyUnlessAFlagSaysOtherwise(t *testing.T) {
	for _, c := range []struct {
		name, color, noColor, term string
		tty, want                  bool
	}{
		{"a terminal", "auto", "", "xterm", true, true},
		{"a pipe", "auto", "", "xterm", false, false},
		{"NO_COLOR", "auto", "1", "xterm", true, false},
		{"a dumb terminal", "auto", "", "dumb", true, false},
		{"always, to a pipe", "always", "1", "dumb", false, true},
		{"never, to a terminal", "never", "", "xterm", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(Stdio{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(name string) string {
				return map[string]string{"NO_COLOR": c.noColor, "TERM": c.term}[name]
			}})
			e.color, e.stdoutTTY, e.stderrTTY = c.color, c.tty, c.tty
			assert.Equal(t, c.want, e.style().on)
			assert.Equal(t, c.want, e.errStyle().on)
		})
	}
	on, off := style{true}, style{}
	for code, f := range map[string]func(style, string) string{
		"1": style.bold, "2": style.dim, "31": style.red, "32": style.green, "33": style.yellow, "34": style.blue, "36": style.cyan,
	} {
		assert.Equal(t, "\x1b["+code+"mx\x1b[0m", f(on, "x"))
		assert.Equal(t, "x", f(off, "x"))
	}
}

func TestSayWritesALineToStderrAndJSONIsOff(t *testing.T) {
	var out strings.Builder
	e := newEnv(Stdio{Stdout: io.Discard, Stderr: &out})
	e.say("%d of %d", 1, 2)
	assert.Equal(t, "1 of 2\n", out.String())
	assert.False(t, e.json())
}
