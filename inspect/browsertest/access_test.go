package browsertest

import (
	"fmt"
	"math"
	"testing"

	"github.com/plyhttp/ply/internal/browser"
)

func TestAxeFindsNothingThatShutsPeopleOut(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	p.LoadAxe()
	p.Axe("the empty list")
	s.variety()
	p.Has("#filter-count", "16 calls")
	for _, dark := range []bool{false, true} {
		p.Scheme(dark)
		scheme := map[bool]string{false: "light", true: "dark"}[dark]
		p.Click("#tab-calls")
		p.filter("status:x users")
		p.Axe(scheme + ", a filter with a problem")
		p.filter("")
		p.openCall("/flaky")
		p.Axe(scheme + ", a call")
		p.openCall("/orders")
		p.Axe(scheme + ", a call with a body")
		p.Click("#tab-cache")
		p.Wait(`document.querySelector('#cache-scroll .entries')`)
		p.Click("#cache-scroll [data-action=more]")
		p.Axe(scheme + ", the cache")
		p.Click("#tab-stats")
		p.Wait(`document.querySelector('#stats .plot')`)
		p.Click("#stats summary")
		p.Axe(scheme + ", the statistics")
		p.Click("#stats summary")
		p.Click("#help-open")
		p.Axe(scheme + ", the keys")
		p.Click("#help form button")
	}
	p.Size(360, 740, 1)
	p.Click("#tab-calls")
	p.Axe("narrow, a call")
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
		p.Scheme(dark)
		color := func(name string) string {
			return browser.Eval[string](p.Tab, "getComputedStyle(document.documentElement).getPropertyValue('--' + %s).trim()", name)
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
