package docs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const widest = 120

var (
	linkTarget = regexp.MustCompile(`\]\([^)]*\)`)
	fence      = regexp.MustCompile("^\\s*(```+|~~~+)")
)

// prose calls f with each line of a document outside blocks of code and comments, with its number.
func prose(text string, f func(number int, line string)) {
	end := ""
	comment := false
	for i, line := range strings.Split(text, "\n") {
		mark := fence.FindStringSubmatch(line)
		switch {
		case end != "":
			if strings.TrimSpace(line) == end {
				end = ""
			}
		case mark != nil:
			end = mark[1]
		case comment || strings.HasPrefix(line, "<!--"):
			comment = !strings.Contains(line, "-->")
		default:
			f(i+1, line)
		}
	}
}

// wide returns an error for each line of prose that is too long to read. Tables, code and the targets of links are not measured.
func wide(page document) (problems []error) {
	prose(page.text, func(number int, line string) {
		if strings.HasPrefix(strings.TrimSpace(line), "|") || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t") {
			return
		}
		if n := utf8.RuneCountInString(linkTarget.ReplaceAllString(line, "]")); n > widest {
			problems = append(problems, fmt.Errorf("%s:%d: %d columns, more than %d", page.path, number, n, widest))
		}
	})
	return problems
}

func TestWidth(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(page.name, func(t *testing.T) {
			for _, err := range wide(page) {
				t.Error(err)
			}
		})
	}
}

func TestWidthMeasuresProseOnly(t *testing.T) {
	long := strings.Repeat("word ", 25)
	text := "# Title\n" + long + "\n| " + long + "|\n```go\n" + long + "\n```\n    " + long + "\n<!-- " + long + "\n" + long + " -->\n[x](" + long + ")\n- " + long + "\n"
	var got []string
	for _, err := range wide(document{path: "p.md", text: text}) {
		got = append(got, err.Error())
	}
	if want := "[p.md:2: 125 columns, more than 120 p.md:11: 127 columns, more than 120]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}
