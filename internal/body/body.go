// Package body watches response and request bodies as they pass by.
package body

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync"
)

// ErrClosed is the error that [Hooks.Done] gets if the body was closed before its end.
var ErrClosed = errors.New("body closed before its end")

// Hooks are called as a body is read. Each field may be nil.
type Hooks struct {
	// Read gets the result of each read and returns the error that the reader gets.
	// It runs on the reader's goroutine and must not block.
	Read func(n int, err error) error

	// Done runs once, when the body has ended: with [io.EOF] after a complete read,
	// with the error of the read that failed, or with [ErrClosed].
	Done func(err error)

	// Lost runs instead of Done, on a goroutine of the runtime, when the garbage collector finds that the body was dropped before its end.
	// It must not refer to the body, directly or indirectly, or the body would never be collected.
	Lost func()
}

// Watch returns a body that reads from rc and calls the hooks in h.
// It keeps an [io.WriterTo] of rc. Each Close closes rc.
// Close may run concurrently with Read, as net/http's bodies allow.
// Do not watch an upgraded connection (status 101), which is no body.
func Watch(rc io.ReadCloser, h Hooks) io.ReadCloser {
	if to, ok := rc.(io.WriterTo); ok {
		w := &watchedTo{watched: watched{rc: rc, hooks: h}, to: to}
		w.cleanUp()
		return w
	}
	w := &watched{rc: rc, hooks: h}
	w.cleanUp()
	return w
}

// A Watcher sees a body pass by. Its methods are those of [Hooks], without an allocation for each.
type Watcher interface {
	// BodyRead is [Hooks.Read].
	BodyRead(n int, err error) error

	// BodyDone is [Hooks.Done].
	BodyDone(err error)
}

// WatchBy is [Watch] with a Watcher and the hook [Hooks.Lost], which may be nil.
func WatchBy(rc io.ReadCloser, by Watcher, lost func()) io.ReadCloser {
	w := Watch(rc, Hooks{Lost: lost})
	switch w := w.(type) {
	case *watched:
		w.by = by
	case *watchedTo:
		w.by = by
	}
	return w
}

// WatchRequest has wrap make each body of the content of req, which is a copy of a caller's request that has some: Body, and what GetBody returns.
// A layer below, and net/http itself on a connection that turns out to be dead, may send the content several times, also at the same time.
func WatchRequest(req *http.Request, wrap func(io.ReadCloser) io.ReadCloser) {
	req.Body = wrap(req.Body)
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			content, err := again()
			if err != nil {
				return nil, err
			}
			return wrap(content), nil
		}
	}
}

type watched struct {
	rc    io.ReadCloser
	hooks Hooks
	by    Watcher // in place of hooks.Read and hooks.Done, unless nil
	once  sync.Once

	cleanup runtime.Cleanup // if there is a hook Lost
}

// cleanUp has the hook Lost called when the garbage collector finds that w was dropped.
func (w *watched) cleanUp() {
	if w.hooks.Lost != nil {
		w.cleanup = runtime.AddCleanup(w, func(lost func()) { lost() }, w.hooks.Lost)
	}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.rc.Read(p)
	return n, w.saw(n, err)
}

// Unwrap returns the watched body.
func (w *watched) Unwrap() io.ReadCloser { return w.rc }

func (w *watched) Close() error {
	err := w.rc.Close()
	w.done(ErrClosed)
	return err
}

func (w *watched) saw(n int, err error) error {
	switch {
	case w.by != nil:
		err = w.by.BodyRead(n, err)
	case w.hooks.Read != nil:
		err = w.hooks.Read(n, err)
	}
	if err != nil {
		w.done(err)
	}
	return err
}

func (w *watched) done(err error) {
	if w.by == nil && w.hooks.Done == nil && w.hooks.Lost == nil {
		return
	}
	w.once.Do(func() {
		if w.hooks.Lost != nil {
			w.cleanup.Stop()
		}
		switch {
		case w.by != nil:
			w.by.BodyDone(err)
		case w.hooks.Done != nil:
			w.hooks.Done(err)
		}
	})
}

type watchedTo struct {
	watched
	to io.WriterTo
}

// WriteTo reports the whole transfer as one read.
func (w *watchedTo) WriteTo(dst io.Writer) (int64, error) {
	n, err := w.to.WriteTo(dst)
	if err == nil {
		err = io.EOF
	}
	if err = w.saw(int(n), err); err == io.EOF {
		err = nil
	}
	return n, err
}
