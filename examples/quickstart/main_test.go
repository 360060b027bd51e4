package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var columns = regexp.MustCompile(` {3,}`)

// rows gives, of each row of the table, the first word of the cache's column, the status and what the origin saw.
func rows(t *testing.T, out string) []string {
	t.Helper()
	_, table, ok := strings.Cut(out, "ORIGIN SAW\n")
	if !ok {
		t.Fatalf("no table in\n%s", out)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var all []string
	for line := range strings.SplitSeq(table, "\n") {
		cells := columns.Split(line, -1)
		if len(cells) != 5 {
			t.Fatalf("row %q has %d cells", line, len(cells))
		}
		what, _, _ := strings.Cut(strings.TrimRight(cells[1], ",:"), " ")
		all = append(all, strings.Join([]string{strings.TrimRight(what, ",:"), cells[2], cells[4]}, " | "))
	}
	return all
}

func TestTheTourShowsEachThingThatTheCacheDoes(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"miss | 200 | 1 request",
		"hit | 200 | nothing",
		"miss | 200 | 1 request",
		"revalidated | 200 | 1 request",
		"bypassed | 200 | 1 request",
		"refreshed | 200 | 1 request",
		"miss | 200 | 2 requests",
		"hit | 200 | nothing",
	}
	if diff := cmp.Diff(want, rows(t, out.String())); diff != "" {
		t.Errorf("table (-want +got)\n%s\n%s", diff, &out)
	}
	for _, text := range []string{
		"layers: redirects and cookies → logging → cache → retry → counter → *http.Transport",
		"http.response.status_code=200",
		"the record of the busiest one:\nGET http://127.0.0.1:",
		"cache: miss",
		"retry: 2 attempts\n  attempt 1: 503 HTTP/1.1",
		"\n  wait  ",
		"\n  attempt 2: 200 HTTP/1.1",
	} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not in\n%s", text, &out)
		}
	}
}

// What docs/observability.md shows of a record is what the program prints, but for numbers and bars.
func TestTheGuideShowsTheRecord(t *testing.T) {
	page, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```\n(GET http.*?)```").FindSubmatch(page)
	if shown == nil {
		t.Fatal("the guide shows no record")
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out, nil); err != nil {
		t.Fatal(err)
	}
	_, printed, _ := strings.Cut(out.String(), "the record of the busiest one:\n")
	if diff := cmp.Diff(withoutNumbers(string(shown[1])), withoutNumbers(printed)); diff != "" {
		t.Errorf("(-the guide +the program)\n%s", diff)
	}
}

var numbers = regexp.MustCompile(`:\d+/| +\d+\.\d\dms| +[█▒░]+`)

// inLayers matches rows that a busy machine adds: time in layers, which the record shows from a millisecond on.
var inLayers = regexp.MustCompile(`(?m)^  in layers.*\n`)

func withoutNumbers(s string) string {
	return strings.TrimSpace(numbers.ReplaceAllString(inLayers.ReplaceAllString(s, ""), " …"))
}

func TestOwnURLs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	defer server.Close()
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{server.URL}); err != nil {
		t.Fatal(err)
	}
	want := []string{"miss | 200 | 1 request", "hit | 200 | nothing", "bypassed | 200 | 1 request", "refreshed | 200 | 1 request"}
	if diff := cmp.Diff(want, rows(t, out.String())); diff != "" {
		t.Errorf("table (-want +got)\n%s", diff)
	}
}

func TestAURLThatCannotBeHadIsSaidAndFails(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{"nonsense"}); err == nil || !strings.Contains(out.String(), "error: ") {
		t.Errorf("got %v and\n%s", err, &out)
	}
}
