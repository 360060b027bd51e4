package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var symbol = regexp.MustCompile("`([a-z][a-z0-9]*(?:\\.[A-Z][A-Za-z0-9]*){1,2})`")

// What docs/comparison.md says that ply has is there: each "yes" names what does it, and the names exist.
func TestComparisonNamesWhatPlyHas(t *testing.T) {
	rows, ours := 0, false
	var names []string
	for _, page := range pages(t) {
		if page.path != "docs/comparison.md" {
			continue
		}
		for line := range strings.Lines(page.text) {
			cells := strings.Split(line, " | ")
			switch {
			case !strings.HasPrefix(line, "| "):
				ours = ours && strings.HasPrefix(line, "|")
			case strings.HasPrefix(line, "| feature | ply |"):
				ours = true
			case ours:
				rows++
				found := symbol.FindAllStringSubmatch(cells[1], -1)
				for _, m := range found {
					names = append(names, m[1])
				}
				if strings.HasPrefix(cells[1], "yes") && len(found) == 0 {
					t.Errorf("says yes and names nothing: %s", line)
				}
			}
		}
	}
	if undefined := checker(t).Undefined(t.Context(), names...); len(undefined) > 0 {
		t.Errorf("these do not exist: %q", undefined)
	}
	if rows < 50 {
		t.Errorf("%d rows: are some tables not read?", rows)
	}
}

var (
	spans     = regexp.MustCompile("`[^`]+`")
	qualified = regexp.MustCompile(`\b([A-Za-z][a-z0-9A-Z]*)\.([A-Z][A-Za-z0-9]*)(\.[A-Z][A-Za-z0-9]*)?`)
	plyNames  = regexp.MustCompile(`^(ply|cache|keying|expiry|retry|logging|auth|redact|inspect|tape|plytest|store|file|sqlite|redis|postgres|s3|memcached|decode|limit|hedge|breaker)\.`)
	typeNames = map[string][]string{
		"Options":          {"ply.Options", "cache.Options", "retry.Options", "logging.Options", "dynamodb.Options"},
		"TransportOptions": {"ply.TransportOptions"},
		"StatusError":      {"ply.StatusError"},
		"CallInfo":         {"ply.CallInfo"},
		"Client":           {"ply.Client"},
		"URLOptions":       {"keying.URLOptions"},
		"BodyOptions":      {"keying.BodyOptions"},
		"MemoryOptions":    {"cache.MemoryOptions"},
		"Token":            {"auth.Token"},
		"Cache":            {"cache.Cache"},
		"Entry":            {"cache.Entry"},
		"Trace":            {"cache.Trace"},
		"c":                {"cache.Cache"},
		"client":           {"ply.Client"},
		"entry":            {"cache.Entry"},
	}
)

// The pages on moving, and docs/parity.md, name in their tables only what ply has.
func TestTablesOnMovingNameWhatPlyHas(t *testing.T) {
	asWritten := map[string][]string{} // each name on the pages, and the exported names that it may stand for
	for _, page := range pages(t) {
		if page.name != "parity" && !strings.HasPrefix(page.name, "migrating-") {
			continue
		}
		for line := range strings.Lines(page.text) {
			if !strings.HasPrefix(line, "| ") {
				continue
			}
			cells := strings.Split(line, " | ")
			for _, span := range spans.FindAllString(cells[min(1, len(cells)-1)], -1) {
				for _, m := range qualified.FindAllStringSubmatch(span, -1) {
					if plyNames.MatchString(m[0]) {
						asWritten[m[0]] = []string{m[0]}
					}
					for _, typ := range typeNames[m[1]] {
						asWritten[m[1]+"."+m[2]] = append(asWritten[m[1]+"."+m[2]], typ+"."+m[2])
					}
				}
			}
		}
	}
	var names []string
	for _, candidates := range asWritten {
		names = append(names, candidates...)
	}
	undefined := checker(t).Undefined(t.Context(), names...)
	for written, candidates := range asWritten {
		if !slices.ContainsFunc(candidates, func(name string) bool { return !slices.Contains(undefined, name) }) {
			t.Errorf("%s does not exist", written)
		}
	}
	if len(asWritten) < 150 {
		t.Errorf("only %d names found: are the tables read?", len(asWritten))
	}
}
