package ply_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

// Each row of the table "What happens" in docs/caching.md has the Cache-Status that is printed then.
func TestCachingShowsWhatHappens(t *testing.T) {
	page, err := os.ReadFile("docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## What happens\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var shown []string
	for _, row := range regexp.MustCompile("(?m)^\\|.*\\| `(ply;.*)` \\| `([a-z]+)` \\|$").FindAllStringSubmatch(section, -1) {
		shown = append(shown, row[1]+" "+row[2])
	}
	var printed []string
	synctest.Test(t, func(t *testing.T) { printed = whatHappens(t) })
	if diff := cmp.Diff(printed, shown); diff != "" {
		t.Errorf("-printed +shown\n%s", diff)
	}
}

// whatHappens returns the Cache-Status of each situation, and its outcome.
func whatHappens(t *testing.T) (lines []string) {
	const fresh = "max-age=60"
	say := func(c *troubled) {
		resp, err := c.client.Do(c.request("GET", troubleURL, nil))
		if err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSpace(c.line(resp, nil))
		status, _ := cache.StatusOf(resp)
		lines = append(lines, line+" "+status.Outcome())
	}
	c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", fresh, "Etag", `"v1"`), plytest.Status(304, "Cache-Control", fresh, "Etag", `"v1"`), plytest.Text("x", "Cache-Control", fresh, "Etag", `"v2"`))
	for _, after := range []time.Duration{0, 10 * time.Second, time.Minute, 2 * time.Minute} {
		time.Sleep(after)
		say(c)
	}
	for _, x := range c.origin.Exchanges()[1:] {
		if got := x.Header.Get("If-None-Match"); got != `"v1"` {
			t.Errorf("If-None-Match: %s", got)
		}
	}
	for _, window := range []string{"stale-while-revalidate", "stale-if-error"} {
		c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", fresh+", "+window+"=60"), plytest.Status(http.StatusServiceUnavailable))
		c.get(troubleURL)
		time.Sleep(65 * time.Second)
		say(c)
		synctest.Wait()
	}
	return append(lines, collapsed(t))
}

// collapsed returns what the second of two requests reads that come at once.
func collapsed(t *testing.T) string {
	c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60"))
	c.origin.Latency = time.Second
	go c.get(troubleURL)
	synctest.Wait()
	return strings.TrimSpace(c.get(troubleURL)) + " miss"
}

// The explanations in docs/caching.md are those that are printed for a page that is stored as JSON and asked for as HTML.
func TestCachingShowsExplanations(t *testing.T) {
	page, err := os.ReadFile("docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "\n```text\nGET ")
	shown, _, _ = strings.Cut("GET "+shown, "```")
	synctest.Test(t, func(t *testing.T) {
		c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60", "Vary", "Accept"))
		c.get("http://example.com/", "Accept", "application/json")
		time.Sleep(10 * time.Second)
		r := c.request("GET", "http://example.com/", nil, "Accept", "text/html")
		x, err := c.cache.Explain(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.origin.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		why, err := c.cache.ExplainResponse(t.Context(), r, resp)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(x.String()+why.String(), shown); diff != "" {
			t.Errorf("-printed +shown\n%s", diff)
		}
	})
}
