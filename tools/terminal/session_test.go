package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// differ are what is different each time: times and bars, sizes of records, hashes, dates, ports.
var differ = []struct {
	each *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`(?m) +\d+\.\d\dms +\d+\.\d\dms *[░▒█ ]*$`), " AT TOOK BARS"},
	{regexp.MustCompile(`\d+\.\d\d?ms`), "TIME"},
	{regexp.MustCompile(`, \d+s old, fresh for \S+`), ", AGE"},
	{regexp.MustCompile(`stored, fresh for \S+`), "stored, fresh for TIME"},
	{regexp.MustCompile(`(?m)^  It is \d+s old on receipt.*\n`), ""}, // where a second has ended on the way
	{regexp.MustCompile(`\d+ bytes, AGE`), "SIZE, AGE"},
	{regexp.MustCompile(`freshness in \S+`), "freshness in TIME"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDR"},
	{regexp.MustCompile(`(#|key )[0-9a-f]{12,64}`), "${1}HASH"},
	{regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} [0-9:]{8} GMT`), "DATE"},
	{regexp.MustCompile(`(?m)^  in layers.*\n`), ""}, // shown where layers take long enough
}

// shown is what a picture says, but for what is different each time.
func shown(svg string) string {
	var lines []string
	for _, line := range regexp.MustCompile(`<text[^>]*>(.*)</text>`).FindAllStringSubmatch(svg, -1) {
		lines = append(lines, text(line[1]))
	}
	said := strings.Join(lines, "\n") + "\n"
	for _, d := range differ {
		said = d.each.ReplaceAllString(said, d.by)
	}
	return said
}

// uncached is a file that the tests read and that is touched after them: the go command would take an earlier result, for it does not see that the command or the picture changed, which is outside of this module.
const uncached = "testdata/uncached"

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.Chtimes(uncached, time.Now(), time.Now())
	os.Exit(code)
}

func TestPictureShowsWhatTheCommandsPrint(t *testing.T) {
	if _, err := os.ReadFile(uncached); err != nil {
		t.Fatal(err)
	}
	steps, err := record(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile("../../docs/images/terminal.svg")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shown(string(picture)), shown(draw(steps)); got != want {
		t.Errorf("docs/images/terminal.svg shows\n%s\nand the commands print\n%s\nrecord it with go run ./tools/terminal > docs/images/terminal.svg", got, want)
	}
}

func TestColoursBecomeSpans(t *testing.T) {
	for line, want := range map[string]string{
		"plain <b>":                     "plain &lt;b&gt;",
		"\x1b[1mGET\x1b[0m /":           `<tspan class="bold">GET</tspan> /`,
		"\x1b[1;36mnow\x1b[m":           `<tspan class="bold cyan">now</tspan>`,
		"a \x1b[2m[RFC]\x1b[0m b":       `a <tspan class="dim">[RFC]</tspan> b`,
		"\x1b[31mply:\x1b[0m \x1b[1mno": `<tspan class="red">ply:</tspan> <tspan class="bold">no</tspan>`,
	} {
		if got := spans(line); got != want {
			t.Errorf("%q is %s, want %s", line, got, want)
		}
	}
}
