package browsertest

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/plyhttp/ply/internal/browser"
)

// TestScreenshotsOfDocs makes the pictures of docs/inspect.md, which says how.
func TestScreenshotsOfDocs(t *testing.T) {
	s := newChain(t, 500)
	p := open(t, s.inspector)
	s.variety()
	s.get("/flaky/orders/7")
	s.get("/flaky/orders/7")
	p.Has("#filter-count", "18 calls")
	p.Size(1120, 640, 1)
	p.Scheme(false)
	p.small("inspect-list")
	p.Scheme(true)
	p.openCall("/flaky/orders/7")
	p.Size(1200, 840, 1)
	p.small("inspect-call")
	p.Scheme(false)
	p.Size(1120, 640, 1)
	p.Click("#tab-cache")
	p.Wait(`document.querySelector('#cache-scroll .entries')`)
	browser.Eval[any](p.Tab, `document.querySelectorAll('#cache-scroll [data-action=more]')[1].click()`)
	p.small("inspect-cache")
	for _, name := range []string{"inspect-list", "inspect-call", "inspect-cache"} {
		info, err := os.Stat(filepath.Join("..", "..", "docs", "images", name+".png"))
		if err != nil || info.Size() > 150_000 {
			t.Errorf("docs/images has no small picture %s: %v", name, err)
		}
	}
}

// small keeps a screenshot in the 256 colours that it has most of, which is a third of the bytes.
func (p *tab) small(name string) {
	p.T.Helper()
	browser.Frames(p.Tab)
	ctx, cancel := p.Step()
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.T.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		p.T.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, inFewColours(full)); err != nil {
		p.T.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.screenshots(), name+".png"), out.Bytes(), 0o644); err != nil {
		p.T.Fatal(err)
	}
}

func inFewColours(full image.Image) *image.Paletted {
	b := full.Bounds()
	count := make(map[color.Color]int)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[full.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return cmp.Compare(count[b], count[a]) })
	few := image.NewPaletted(b, colours[:min(256, len(colours))])
	index := make(map[color.Color]uint8, len(colours))
	for _, c := range colours {
		index[c] = uint8(few.Palette.Index(c))
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			few.SetColorIndex(x, y, index[full.At(x, y)])
		}
	}
	return few
}
