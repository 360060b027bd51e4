package docs

import (
	"regexp"
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
