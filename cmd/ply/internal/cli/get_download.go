package cli

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/plyhttp/ply"
)

// download gets a URL into a file, and goes on where an earlier command broke off.
func (g *getting) download(ctx context.Context, out *outcome) error {
	bar := g.bars.add(filepath.Base(out.file))
	opts := append(g.opts[:len(g.opts):len(g.opts)], ply.DownloadProgress(bar.progress))
	got, err := g.chain.client.Download(ctx, out.file, out.url, opts...)
	bar.end(err == nil)
	out.resp, out.bytes, out.resumed = got.Response, got.Bytes, got.Resumed
	return savingError(got.Response, err)
}

// bars are the progress bars on the terminal. Without a terminal there are none.
type bars struct {
	progress *mpb.Progress // nil without bars
}

func newBars(e *env, off bool) *bars {
	if off || !e.movesCursor() || e.json() {
		return &bars{}
	}
	return &bars{mpb.New(mpb.WithOutput(e.stderr), mpb.WithAutoRefresh())}
}

// wait returns once all bars show their last state.
func (b *bars) wait() {
	if b.progress != nil {
		b.progress.Wait()
	}
}

// add adds a bar, which begins when its first bytes come: a file from the cache needs none.
func (b *bars) add(name string) *bar { return &bar{bars: b, name: printableLine(name)} }

// A bar shows one download. It is used by the goroutine of the download alone.
type bar struct {
	bars *bars
	name string
	once sync.Once
	bar  *mpb.Bar
}

// progress is the function for [ply.DownloadProgress].
func (b *bar) progress(received, total int64) {
	if b.bars.progress == nil {
		return
	}
	b.once.Do(func() {
		b.bar = b.bars.progress.AddBar(max(total, 0),
			mpb.PrependDecorators(decor.Name(b.name, decor.WCSyncSpaceR), decor.CountersKibiByte("% .1f / % .1f")),
			mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f "), decor.AverageETA(decor.ET_STYLE_GO)),
		)
		b.bar.SetRefill(received)
	})
	b.bar.SetCurrent(received)
}

// end leaves the bar as it is if the download broke off.
func (b *bar) end(whole bool) {
	switch {
	case b.bar == nil:
	case whole:
		b.bar.SetTotal(-1, true)
	default:
		b.bar.Abort(false)
	}
}
