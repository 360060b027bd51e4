package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Stdio are the surroundings of the program, so that tests can replace them.
type Stdio struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
}

// env is what commands share: streams, and the choices of the flags that all commands have. The root command fills format and color before a command runs.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	stdoutTTY, stderrTTY bool // the stream is a terminal
	format               string
	color                string
}

func newEnv(s Stdio) *env {
	return &env{
		stdin: s.Stdin, stdout: s.Stdout, stderr: s.Stderr, getenv: s.Getenv,
		stdoutTTY: isTerminal(s.Stdout), stderrTTY: isTerminal(s.Stderr),
		format: "text", color: "auto",
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// json reports whether the output is for programs.
func (e *env) json() bool { return e.format == "json" }

// guardTerminal has JSON on a terminal do nothing to it.
func (e *env) guardTerminal() {
	if e.json() && e.stdoutTTY {
		e.stdout = &printableWriter{w: e.stdout, json: true}
	}
}

// style returns the colours for stdout.
func (e *env) style() style { return style{e.colored(e.stdoutTTY)} }

// errStyle returns the colours for stderr.
func (e *env) errStyle() style { return style{e.colored(e.stderrTTY)} }

// colored reports whether a stream gets colours: one that is a terminal does, unless NO_COLOR is set, TERM is dumb, or --color says otherwise.
func (e *env) colored(tty bool) bool {
	switch e.color {
	case "always":
		return true
	case "never":
		return false
	}
	return tty && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
}

// movesCursor reports whether stderr is a terminal on which a line can be written again.
func (e *env) movesCursor() bool { return e.stderrTTY && e.getenv("TERM") != "dumb" }

// A style colours texts for a terminal, or leaves them as they are.
type style struct{ on bool }

func (s style) bold(text string) string   { return s.sgr("1", text) }
func (s style) dim(text string) string    { return s.sgr("2", text) }
func (s style) red(text string) string    { return s.sgr("31", text) }
func (s style) green(text string) string  { return s.sgr("32", text) }
func (s style) yellow(text string) string { return s.sgr("33", text) }
func (s style) blue(text string) string   { return s.sgr("34", text) }
func (s style) cyan(text string) string   { return s.sgr("36", text) }

func (s style) sgr(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// say writes a line for people to stderr. What servers sent goes through [printable] first.
func (e *env) say(format string, args ...any) {
	fmt.Fprintf(e.stderr, format+"\n", args...)
}
