package layer

import (
	"io"
	"runtime"
	"sync"
)

// OnEnd returns a body that calls end once: when it has been read to its end, or has failed, or is closed;
// or when the garbage collector finds that it was dropped, so end must not refer to it. Close may run concurrently with Read.
func OnEnd(content io.ReadCloser, end func()) io.ReadCloser {
	b := &ending{ReadCloser: content, end: sync.OnceFunc(end)}
	b.dropped = runtime.AddCleanup(b, func(end func()) { end() }, b.end)
	if to, ok := content.(io.WriterTo); ok {
		return &endingTo{b, to}
	}
	return b
}

type ending struct {
	io.ReadCloser
	end     func()
	dropped runtime.Cleanup
}

// Unwrap returns the body inside.
func (b *ending) Unwrap() io.ReadCloser { return b.ReadCloser }

func (b *ending) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.finish()
	}
	return n, err
}

func (b *ending) Close() error {
	defer b.finish()
	return b.ReadCloser.Close()
}

func (b *ending) finish() {
	b.dropped.Stop()
	b.end()
}

// endingTo keeps the way around a buffer that a body may have.
type endingTo struct {
	*ending
	to io.WriterTo
}

func (b *endingTo) WriteTo(w io.Writer) (int64, error) {
	defer b.finish()
	return b.to.WriteTo(w)
}
