package ply_test

import (
	"context"
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

// The table of modes in docs/scopes.md has the outcomes with a fresh response stored, with a stale one, and with none.
func TestScopesShowsEachMode(t *testing.T) {
	page, err := os.ReadFile("docs/scopes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Each mode\n")
	var shown []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (\\w+) \\| (\\w+) \\| (\\w+) \\|").FindAllStringSubmatch(section, -1) {
		shown = append(shown, strings.Join(row[1:], " "))
	}
	mode := func(m cache.Mode) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context { return cache.WithMode(ctx, m) }
	}
	var printed []string
	for _, scope := range []struct {
		name   string
		choose func(context.Context) context.Context
	}{
		{"ModeDefault", mode(cache.ModeDefault)},
		{"ModeNoStore", mode(cache.ModeNoStore)},
		{"ModeReload", mode(cache.ModeReload)},
		{"ModeNoCache", mode(cache.ModeNoCache)},
		{"ModeForceCache", mode(cache.ModeForceCache)},
		{"ModeOnlyIfCached", mode(cache.ModeOnlyIfCached)},
		{"ModeReadOnly", mode(cache.ModeReadOnly)},
		{"cache.Disable", cache.Disable},
	} {
		line := scope.name
		for _, age := range []time.Duration{0, 2 * time.Minute, -1} {
			synctest.Test(t, func(t *testing.T) { line += " " + outcomeIn(t, scope.choose, age) })
		}
		printed = append(printed, line)
	}
	if diff := cmp.Diff(printed, shown); diff != "" {
		t.Errorf("-printed +shown\n%s", diff)
	}
}

// outcomeIn returns what becomes of a request in a scope, with a response of this age stored, which is fresh for a minute; a negative age means none.
func outcomeIn(t *testing.T, choose func(context.Context) context.Context, age time.Duration) string {
	c := newTroubled(t, cache.Options{}, plytest.Text("x", "Cache-Control", "max-age=60"))
	if age >= 0 {
		c.get(troubleURL)
		time.Sleep(age)
	}
	r := c.request("GET", troubleURL, nil)
	resp, err := c.client.Do(r.WithContext(choose(r.Context())))
	if err != nil {
		t.Fatal(err)
	}
	c.line(resp, nil)
	status, _ := cache.StatusOf(resp)
	return status.Outcome()
}
