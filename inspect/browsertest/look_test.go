package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// screenshots is the directory of screenshots: that which PLY_SCREENSHOTS names, or the artifacts of the test.
func (p *tab) screenshots() string {
	if dir := os.Getenv("PLY_SCREENSHOTS"); dir != "" {
		return dir
	}
	return p.t.ArtifactDir()
}

// shoot keeps a screenshot.
func (p *tab) shoot(name string) {
	p.t.Helper()
	frames(p)
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(p.screenshots(), name+".png"), picture, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// fits fails if anything must be scrolled sideways.
func (p *tab) fits(what string) {
	p.t.Helper()
	wide := eval[[]string](p, `(() => {
		const wide = [], page = document.documentElement;
		if (page.scrollWidth > page.clientWidth) wide.push('the page: ' + page.scrollWidth + ' > ' + page.clientWidth);
		if (innerHeight > 500 && page.scrollHeight > page.clientHeight) wide.push('the page is ' + page.scrollHeight + ' px high, more than ' + page.clientHeight);
		for (const e of document.querySelectorAll('.view:not([hidden]) *, header *')) {
			const box = e.getBoundingClientRect();
			if (box.width > 1 && box.right > innerWidth + 1 && !e.closest('.chips, .scroll-x, .hidden')) wide.push(e.tagName + '.' + e.className + ' ends at ' + Math.round(box.right));
		}
		return wide.slice(0, 8);
	})()`)
	for _, each := range wide {
		p.t.Errorf("%s, %d px wide: %s", what, eval[int](p, "innerWidth"), each)
	}
}

// TestLooks shows each view in each width and colour scheme.
func TestLooks(t *testing.T) {
	s := newChain(t, 500)
	p := open(t, s.inspector)
	s.variety()
	p.has("#filter-count", "16 calls")
	flaky := eval[int](p, `Number([...document.querySelectorAll('#rows .row:not([hidden])')].find((row) => row.textContent.includes('/orders/7')).id.slice(5))`)
	for _, size := range []struct {
		name          string
		width, height int64
		scale         float64
	}{{"wide", 1600, 900, 1}, {"normal", 1280, 800, 1}, {"zoom-200", 640, 400, 2}, {"narrow", 360, 740, 1}} {
		for _, dark := range []bool{false, true} {
			name := size.name
			if dark {
				name += "-dark"
			}
			p.size(size.width, size.height, size.scale)
			p.scheme(dark)
			p.click("#tab-calls")
			p.shoot(name + "-list")
			p.fits(name + " list")
			eval[any](p, fmt.Sprintf("document.getElementById('call-%d').click()", flaky))
			p.wait(`document.querySelector('#detail .waterfall')`)
			p.shoot(name + "-call")
			p.fits(name + " call")
			if over := eval[[]string](p, `(() => {
				const labels = [...document.querySelectorAll('#detail .axis span')].filter((label) => label.getClientRects().length > 0), end = document.querySelector('#detail .axis').getBoundingClientRect().right;
				return labels.filter((label, n) => label.getBoundingClientRect().right > (labels[n + 1]?.getBoundingClientRect().left ?? end) + 1).map((label) => label.textContent);
			})()`); len(over) > 0 {
				t.Errorf("%s: labels of the axis run into what is beside them: %q", name, over)
			}
			eval[any](p, `document.querySelector('#detail .pair').scrollIntoView()`)
			p.shoot(name + "-messages")
			p.fits(name + " messages")
			p.click("#detail .close")
			p.click("#tab-cache")
			p.wait(`document.querySelector('#cache-scroll .entries')`)
			eval[any](p, `document.querySelector('#cache-scroll [aria-expanded=false][data-action=more]').click()`)
			p.shoot(name + "-cache")
			p.fits(name + " cache")
			if moves := eval[string](p, `getComputedStyle(document.querySelector('.meter b')).transitionDuration`); moves != "0s" {
				t.Errorf("the bar of an entry moves for %s, though less motion is wished", moves)
			}
			p.click("#tab-stats")
			p.wait(`document.querySelector('#stats .plot')`)
			p.shoot(name + "-stats")
			p.fits(name + " statistics")
		}
	}
	p.size(1280, 800, 1)
	eval[any](p, `document.documentElement.style.setProperty('font-size', '200%'), null`)
	for _, view := range []string{"calls", "cache", "stats"} {
		p.click("#tab-" + view)
		p.fits("text twice as large, " + view)
	}
	p.shoot("large-text-stats")
}
