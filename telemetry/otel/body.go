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
