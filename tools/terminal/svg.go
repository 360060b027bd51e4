package main

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	charWidth  = 7.83 // of a monospaced font of 13 px
	lineHeight = 17
	margin     = 16
	bar        = 30 // the height of the window's title
)

const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img" aria-labelledby="title">
  <title id="title">A session of ply: the first request is a miss, the second a hit, and ply explain says why</title>
  <style>
    text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; fill: var(--text); white-space: pre; }
    .prompt { fill: var(--green); font-weight: 600; } .bold { font-weight: 700; } .dim { fill: var(--dim); }
    .red { fill: var(--red); } .green { fill: var(--green); } .yellow { fill: var(--yellow); } .cyan { fill: var(--cyan); }
    svg { --page: #ffffff; --bar: #eaeef2; --line: #d1d9e0; --text: #1f2328; --dim: #59636e; --red: #b3261e; --green: #116329; --yellow: #7d4e00; --cyan: #1b5e80; }
    @media (prefers-color-scheme: dark) {
      svg { --page: #0d1117; --bar: #21262d; --line: #3d444d; --text: #e6edf3; --dim: #9198a1; --red: #ff7b72; --green: #7ee787; --yellow: #d29922; --cyan: #76c7e8; }
    }
  </style>
  <rect x="0.5" y="0.5" width="%[3]d" height="%[4]d" rx="8" fill="var(--page)" stroke="var(--line)"/>
  <path d="M1 %[5]dV9q0 -8 8 -8H%[6]dq8 0 8 8V%[5]dz" fill="var(--bar)"/>
  <circle cx="18" cy="15" r="5" fill="var(--red)"/><circle cx="36" cy="15" r="5" fill="var(--yellow)"/><circle cx="54" cy="15" r="5" fill="var(--green)"/>
`

// draw draws the steps of a session as a window of a terminal, as wide as their widest line.
func draw(steps []step) string {
	var lines []string
	for i, s := range steps {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, `<tspan class="prompt">$</tspan> <tspan class="bold">`+html.EscapeString(s.command)+"</tspan>")
		for line := range strings.SplitSeq(strings.TrimSpace(s.printed), "\n") {
			lines = append(lines, spans(line))
		}
	}
	widest := 0
	for _, line := range lines {
		widest = max(widest, utf8.RuneCountInString(text(line)))
	}
	width := int(float64(widest)*charWidth) + 2*margin
	height := bar + margin + len(lines)*lineHeight + margin/2
	var out strings.Builder
	fmt.Fprintf(&out, head, width, height, width-1, height-1, bar, width-9)
	for i, line := range lines {
		if line != "" {
			fmt.Fprintf(&out, "  <text x=\"%d\" y=\"%d\" xml:space=\"preserve\">%s</text>\n", margin, bar+margin+i*lineHeight+8, line)
		}
	}
	out.WriteString("</svg>\n")
	return out.String()
}

var (
	sgr     = regexp.MustCompile("\x1b\\[([0-9;]*)m")
	tag     = regexp.MustCompile(`<[^>]*>`)
	classes = map[string]string{"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}
)

// text is what a line with spans says.
func text(line string) string { return html.UnescapeString(tag.ReplaceAllString(line, "")) }

// spans turns the sequences of a line for bold, faint and coloured text into spans.
func spans(line string) string {
	var out strings.Builder
	class, at := "", 0
	write := func(part string) {
		switch {
		case part == "":
		case class == "":
			out.WriteString(html.EscapeString(part))
		default:
			out.WriteString(`<tspan class="` + class + `">` + html.EscapeString(part) + "</tspan>")
		}
	}
	for _, found := range sgr.FindAllStringSubmatchIndex(line, -1) {
		write(line[at:found[0]])
		at = found[1]
		class = ""
		for code := range strings.SplitSeq(line[found[2]:found[3]], ";") {
			class = strings.TrimSpace(class + " " + classes[code])
		}
	}
	write(line[at:])
	return out.String()
}
