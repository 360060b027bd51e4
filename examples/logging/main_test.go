package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestWhatTheGuideShows(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"http.request.resend_count=1 attempt=2",
		"cache.status=hit",
		"error.type=eof",
		"error.type=connection_refused",
		"key=REDACTED",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a secret is in\n%s", &out)
	}
}

// Every line of output that docs/logging.md shows is a line that the program prints, but for what is different each time.
func TestTheGuideShowsRealLines(t *testing.T) {
	page, err := os.ReadFile("../../docs/logging.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out, nil); err != nil {
		t.Fatal(err)
	}
	printed := strings.Split(changing.ReplaceAllString(out.String(), "$1…"), "\n")
	shown := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "level=") && !strings.HasPrefix(line, "curl ") {
			continue
		}
		shown++
		if line = changing.ReplaceAllString(strings.TrimSpace(line), "$1…"); !slices.Contains(printed, line) {
			t.Errorf("the program does not print\n%s\nbut\n%s", line, strings.Join(printed, "\n"))
		}
	}
	if shown != 8 {
		t.Errorf("the guide shows %d lines, want 8", shown)
	}
}

var changing = regexp.MustCompile(`(127\.0\.0\.1:|(?:duration|ttfb|call\.id|port)=| in |date=)(?:[\w.µ]+|"[^"]*")`)

func TestOwnURL(t *testing.T) {
	server := httptest.NewServer(handler())
	defer server.Close()
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{server.URL + "/greeting"}); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, "# ") != 2 || !strings.Contains(text, "cache.status=hit") {
		t.Error(text)
	}
}
