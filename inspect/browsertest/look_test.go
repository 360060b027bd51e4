package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/plyhttp/ply/internal/browser"
)

// screenshots is the directory of screenshots: that which PLY_SCREENSHOTS names, or the artifacts of the test.
func (p *tab) screenshots() string {
	if dir := os.Getenv("PLY_SCREENSHOTS"); dir != "" {
		return dir
	}
	return p.T.ArtifactDir()
}

// shoot keeps a screenshot.
func (p *tab) shoot(name string) {
	p.T.Helper()
	browser.Frames(p.Tab)
	ctx, cancel := p.Step()
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(p.screenshots(), name+".png"), picture, 0o644)
	}
	if err != nil {
		p.T.Fatal(err)
	}
}

// fits fails if anything must be scrolled sideways.
func (p *tab) fits(what string) {
	p.T.Helper()
	wide := browser.Eval[[]string](p.Tab, `(() => {
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
		p.T.Errorf("%s, %d px wide: %s", what, browser.Eval[int](p.Tab, "innerWidth"), each)
	}
}

// TestLooks shows each view in each width and colour scheme.
func TestLooks(t *testing.T) {
	s := newChain(t, 500)
	p := open(t, s.inspector)
	s.variety()
	p.Has("#filter-count", "16 calls")
	flaky := browser.Eval[int](p.Tab, `Number([...document.querySelectorAll('#rows .row:not([hidden])')].find((row) => row.textContent.includes('/orders/7')).id.slice(5))`)
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
			p.Size(size.width, size.height, size.scale)
			p.Scheme(dark)
			p.Click("#tab-calls")
			p.shoot(name + "-list")
			p.fits(name + " list")
			browser.Eval[any](p.Tab, fmt.Sprintf("document.getElementById('call-%d').click()", flaky))
			p.Wait(`document.querySelector('#detail .waterfall')`)
			p.shoot(name + "-call")
			p.fits(name + " call")
			if over := browser.Eval[[]string](p.Tab, `(() => {
				const labels = [...document.querySelectorAll('#detail .axis span')].filter((label) => label.getClientRects().length > 0), end = document.querySelector('#detail .axis').getBoundingClientRect().right;
				return labels.filter((label, n) => label.getBoundingClientRect().right > (labels[n + 1]?.getBoundingClientRect().left ?? end) + 1).map((label) => label.textContent);
			})()`); len(over) > 0 {
				t.Errorf("%s: labels of the axis run into what is beside them: %q", name, over)
			}
			browser.Eval[any](p.Tab, `document.querySelector('#detail .pair').scrollIntoView()`)
			p.shoot(name + "-messages")
			p.fits(name + " messages")
			p.Click("#detail .close")
			p.Click("#tab-cache")
			p.Wait(`document.querySelector('#cache-scroll .entries')`)
			browser.Eval[any](p.Tab, `document.querySelector('#cache-scroll [aria-expanded=false][data-action=more]').click()`)
			p.shoot(name + "-cache")
			p.fits(name + " cache")
			if moves := browser.Eval[string](p.Tab, `getComputedStyle(document.querySelector('.meter b')).transitionDuration`); moves != "0s" {
				t.Errorf("the bar of an entry moves for %s, though less motion is wished", moves)
			}
			p.Click("#tab-stats")
			p.Wait(`document.querySelector('#stats .plot')`)
			p.shoot(name + "-stats")
			p.fits(name + " statistics")
		}
	}
	p.Size(1280, 800, 1)
	browser.Eval[any](p.Tab, `document.documentElement.style.setProperty('font-size', '200%'), null`)
	for _, view := range []string{"calls", "cache", "stats"} {
		p.Click("#tab-" + view)
		p.fits("text twice as large, " + view)
	}
	p.shoot("large-text-stats")
}
