package mdcode

import (
	"regexp"
	"strings"
)

// A Block is a block of Go on a page.
type Block struct {
	Page string // the path of the page, as it was given
	Line int    // of the first line of code, from 1
	Code string
	Note string // what the comments "go: …" above the block declare, as the parameters of a function
	// Ecosystem reports whether the block needs the libraries of internal/ecosystem.
	Ecosystem bool
	// Output is what the block prints, and HasOutput whether the page says so.
	Output    string
	HasOutput bool
}

var (
	fence = regexp.MustCompile("^( *)(```+|~~~+)\\s*([\\w-]*)")
	note  = regexp.MustCompile(`(?s)<!--\s*go:\s*(.*?)\s*-->\s*$`)
)

// outputWithin is how many lines after a program its output begins at most, with no heading between.
const outputWithin = 6

// Blocks returns the blocks of Go on a page, in their order.
func Blocks(page, text string) []Block {
	var blocks []Block
	lines := strings.Split(text, "\n")
	for i, last := 0, -1; i < len(lines); i++ {
		open := fence.FindStringSubmatch(lines[i])
		if open == nil {
			continue
		}
		end := i + 1
		for end < len(lines) && strings.TrimSpace(lines[end]) != open[2] {
			end++
		}
		code := unindent(lines[i+1:min(end, len(lines))], open[1])
		switch {
		case open[3] == "go":
			b := Block{Page: page, Line: i + 2, Code: code}
			b.Note, b.Ecosystem = notes(strings.Join(lines[last+1:i], "\n"))
			blocks = append(blocks, b)
		case open[3] == "text" && len(blocks) > 0:
			b := &blocks[len(blocks)-1]
			between := strings.Join(lines[last+1:i], "\n")
			if after := b.Line + strings.Count(b.Code, "\n") - 1; last == after && i-last <= outputWithin && !strings.Contains("\n"+between, "\n#") {
				b.Output, b.HasOutput = code, true
			}
		}
		i, last = end, end
	}
	return blocks
}

// unindent joins lines without the indentation that their fence has.
func unindent(lines []string, indent string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimPrefix(line, indent))
		b.WriteByte('\n')
	}
	return b.String()
}

// notes returns what the comments at the end of a text say about the block that follows.
func notes(above string) (declared string, ecosystem bool) {
	for {
		m := note.FindStringSubmatchIndex(above)
		if m == nil {
			return declared, ecosystem
		}
		said := above[m[2]:m[3]]
		if rest, ok := strings.CutPrefix(said, "ecosystem"); ok {
			ecosystem, said = true, strings.TrimLeft(rest, ",; \n")
		}
		if declared != "" && said != "" {
			said += ", "
		}
		declared = said + declared
		above = above[:m[0]]
	}
}
