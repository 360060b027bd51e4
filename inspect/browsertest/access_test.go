package browsertest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/plyhttp/ply/internal/testserver"
)

// violation is what axe says of an element that a person could not use.
type violation struct {
	Rule, Help, Target, Message string
}

// axe runs all of axe's rules on what is on the page.
func (p *tab) axe(what string) {
	p.t.Helper()
	found := eval[[]violation](p, `axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.flatMap((each) =>
		each.nodes.slice(0, 3).map((node) => ({ rule: each.id, help: each.help, target: node.target.join(' '), message: node.failureSummary }))))`)
	for _, v := range found {
		p.t.Errorf("%s: %s (%s): %s: %s", what, v.Help, v.Rule, v.Target, v.Message)
	}
}

func TestAxeFindsNothingThatShutsPeopleOut(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(testserver.NPM(t, "axe", os.DirFS("testdata/axe")), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	s := newChain(t, 100)
	p := open(t, s.inspector)
	evaluate(p, string(script)+"; null")
	p.axe("the empty list")
	s.variety()
	p.has("#filter-count", "16 calls")
	for _, dark := range []bool{false, true} {
		p.scheme(dark)
		scheme := map[bool]string{false: "light", true: "dark"}[dark]
		p.click("#tab-calls")
		p.filter("status:x users")
		p.axe(scheme + ", a filter with a problem")
		p.filter("")
		p.openCall("/flaky")
		p.axe(scheme + ", a call")
		p.openCall("/orders")
		p.axe(scheme + ", a call with a body")
		p.click("#tab-cache")
		p.wait(`document.querySelector('#cache-scroll .entries')`)
		p.click("#cache-scroll [data-action=more]")
		p.axe(scheme + ", the cache")
		p.click("#tab-stats")
		p.wait(`document.querySelector('#stats .plot')`)
		p.click("#stats summary")
		p.axe(scheme + ", the statistics")
		p.click("#stats summary")
		p.click("#help-open")
		p.axe(scheme + ", the keys")
		p.click("#help form button")
	}
	p.size(360, 740, 1)
	p.click("#tab-calls")
	p.axe("narrow, a call")
}

// luminance is the relative luminance of a colour, and contrast the ratio of two (WCAG 2.2).
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	var channels [3]int
	if _, err := fmt.Sscanf(color, "#%2x%2x%2x", &channels[0], &channels[1], &channels[2]); err != nil {
		t.Fatalf("%q is no colour: %v", color, err)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(channels[i]) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestEachColourStandsOutFromEachSurface(t *testing.T) {
	s := newChain(t, 10)
	p := open(t, s.inspector)
	for _, dark := range []bool{false, true} {
		p.scheme(dark)
		color := func(name string) string {
			return eval[string](p, "getComputedStyle(document.documentElement).getPropertyValue('--' + %s).trim()", name)
		}
		for _, surface := range []string{"page", "surface", "raised", "selected"} {
			under := color(surface)
			for _, name := range []string{"text", "muted", "accent", "danger", "hit", "stale", "revalidated", "refreshed", "collapsed", "miss", "bypass", "refused", "error", "open", "none"} {
				if ratio := contrast(t, color(name), under); ratio < 4.5 {
					t.Errorf("dark %t: %s on %s has a contrast of %.2f, below 4.5", dark, name, surface, ratio)
				}
			}
			if ratio := contrast(t, color("focus"), under); ratio < 3 {
				t.Errorf("dark %t: the outline of the focus on %s has a contrast of %.2f, below 3", dark, surface, ratio)
			}
		}
		for _, name := range []string{"strong-line", "wait"} {
			if ratio := contrast(t, color(name), color("surface")); ratio < 3 {
				t.Errorf("dark %t: %s has a contrast of %.2f, below 3", dark, name, ratio)
			}
		}
		if ratio := contrast(t, color("on-accent"), color("accent")); ratio < 4.5 {
			t.Errorf("dark %t: text on the accent has a contrast of %.2f", dark, ratio)
		}
	}
}
