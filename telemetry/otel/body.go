package plyotel

import (
	"errors"
	"io"
	"runtime"
	"sync"
)

// errClosed stands for the end of a body that was closed before it came.
var errClosed = errors.New("body closed before its end")

// watched is a body of which somebody hears. It keeps an [io.WriterTo].
type watched struct {
	io.ReadCloser
	saw func(n int, err error) // hears of each Read, and of errClosed once, unless there was an error before

	once    sync.Once // of the last error
	cleanup runtime.Cleanup
}

// watch lets saw hear of rc, and o, if it is not nil, of the body that is dropped without an end.
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

// Unwrap returns the body that is watched.
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

// WriteTo tells of the whole transfer as of one read.
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
