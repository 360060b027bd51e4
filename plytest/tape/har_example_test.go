package tape_test

import (
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
)

// What a browser has saved becomes a tape.
func ExampleFromHAR() {
	archive := strings.NewReader(`{"log": {"version": "1.2", "creator": {"name": "a browser", "version": "1"}, "entries": [
		{"startedDateTime": "2026-03-02T09:00:00Z", "time": 30, "timings": {"send": 0, "wait": 20, "receive": 10}, "request": {"method": "GET", "url": "https://shop.example/"},
			"response": {"status": 200, "httpVersion": "h2", "headers": [{"name": "content-encoding", "value": "br"}], "content": {"size": 5, "text": "hello"}}},
		{"startedDateTime": "2026-03-02T09:00:01Z", "time": 12, "request": {"method": "GET", "url": "https://gone.example/"}, "response": {"status": 0, "_error": "net::ERR_NAME_NOT_RESOLVED"}}
	]}}`)
	t, err := tape.FromHAR(archive)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range t.Exchanges {
		if e.Response != nil {
			fmt.Printf("%v %s: %d after %v, %q\n", e.At, e.Request.URL, e.Response.Status, e.Response.Wait, e.Response.Body())
		} else {
			fmt.Printf("%v %s: %s after %v\n", e.At, e.Request.URL, e.Failure.Kind, e.Failure.At)
		}
	}
	// Output:
	// 0s https://shop.example/: 200 after 20ms, "hello"
	// 1s https://gone.example/: dns after 12ms
}

// A tape becomes an archive for the tools of browsers. Its secrets stay out.
func ExampleTape_WriteHAR() {
	t := &tape.Tape{Exchanges: []*tape.Exchange{{
		Request:  tape.Request{URL: "https://shop.example/?token=s3cret"},
		Response: &tape.Response{Status: 204, Length: -1},
	}}}
	var archive strings.Builder
	if err := t.WriteHAR(&archive, har.Options{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(archive.String(), "s3cret"), strings.Contains(archive.String(), "https://shop.example/?token=REDACTED"))
	// Output: false true
}

// convert is in docs/tape.md.
func convert() error {
	f, err := os.Open("shop.har") // saved in the network panel of a browser
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := tape.FromHAR(f)
	if err != nil {
		return err
	}
	return t.WriteHAR(os.Stdout, har.Options{})
}

var _ = convert

// TestGuideShowsArchivesAsTheyAre looks for each Go block of docs/tape.md about archives in this file.
func TestGuideShowsArchivesAsTheyAre(t *testing.T) {
	guide, err := os.ReadFile("../../docs/tape.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("har_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range strings.Split(string(guide), "```go\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(block, "HAR(") {
			continue
		}
		n++
		if !strings.Contains(string(code), "\t"+strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n\t")) {
			t.Errorf("not in har_example_test.go:\n%s", block)
		}
	}
	if n == 0 {
		t.Error("the guide shows no archive")
	}
}
