package plyotel

import (
	"errors"
	"io"
	"runtime"
	"sync"
)

// errClosed is the error of a body that was closed before its end.
var errClosed = errors.New("body closed before its end")

// watched is an observed body. It preserves an [io.WriterTo].
type watched struct {
	io.ReadCloser
	saw func(n int, err error) // gets each Read, and at most one error: that of a Read, or errClosed

	once    sync.Once // for the error
	cleanup runtime.Cleanup
}

// watch returns rc observed by saw. If o is not nil, it is ended when the body is dropped without an end.
func watch(rc io.ReadCloser, saw func(n int, err error), o *operation) io.ReadCloser {
	w := &watched{ReadCloser: rc, saw: saw}
	if o != nil {
		w.cleanup = runtime.AddCleanup(w, (*operation).lost, o)
	}
	if to, ok := rc.(io.WriterTo); ok {
		return &watchedTo{w, to}
	}
	return w
}

// Unwrap returns the observed body.
func (w *watched) Unwrap() io.ReadCloser { return w.ReadCloser }

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.tell(n, err)
	return n, err
}

func (w *watched) Close() error {
	err := w.ReadCloser.Close()
	w.tell(0, errClosed)
	return err
}

func (w *watched) tell(n int, err error) {
	if err == nil {
		w.saw(n, nil)
		return
	}
	w.once.Do(func() {
		w.cleanup.Stop()
		w.saw(n, err)
	})
}

type watchedTo struct {
	*watched
	to io.WriterTo
}

// WriteTo reports the whole transfer as one Read.
func (w *watchedTo) WriteTo(dst io.Writer) (int64, error) {
	n, err := w.to.WriteTo(dst)
	if err == nil {
		w.tell(int(n), io.EOF)
		return n, nil
	}
	w.tell(int(n), err)
	return n, err
}

// decoded is a body that removes content codings, as middleware/decode makes it. It does not refer to the response.
type decoded interface {
	// DecodedFrom returns the codings, as Content-Encoding named them, and how many encoded bytes have come so far.
	DecodedFrom() (codings string, encoded int64)
}

// decodedOf returns the decoded body inside rc, nil if there is none that can be seen.
func decodedOf(rc io.ReadCloser) decoded {
	for range 100 { // a body whose Unwrap leads back into itself has no end
		switch b := rc.(type) {
		case decoded:
			return b
		case interface{ Unwrap() io.ReadCloser }:
			rc = b.Unwrap()
		default:
			return nil
		}
	}
	return nil
}
