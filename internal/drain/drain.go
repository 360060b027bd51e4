// Package drain discards responses that will not be read.
package drain

import (
	"io"
	"net/http"
	"time"
)

// An HTTP/1 connection is used again only if the response was read to its end.
// Reading more, or waiting longer, costs more than a new connection.
const (
	drainBytes = 64 << 10
	drainTime  = 50 * time.Millisecond
)

// Response reads what little is left of the body and closes it. Nil is nothing to do.
func Response(resp *http.Response) {
	if resp == nil || resp.Body == nil {
		return
	}
	defer resp.Body.Close()
	if worthReading(resp) {
		read(resp.Body)
	}
}

// worthReading reports whether draining saves a connection at little cost. Closing an HTTP/2 stream keeps its connection anyway.
func worthReading(resp *http.Response) bool {
	return resp.Body != http.NoBody && resp.ProtoMajor < 2 && resp.ContentLength <= drainBytes
}

// read reads on a goroutine of its own because nothing bounds the time that a Read takes.
// When it gives up, the Close that follows ends that Read.
//
// A body may call what can panic, as the handler of a logger. There it would end the program, so the panic passes to the caller, if he is still there.
func read(body io.Reader) {
	done := make(chan any, 1) // what the Read panicked with, or nil
	go func() {
		defer func() { done <- recover() }()
		io.Copy(io.Discard, io.LimitReader(body, drainBytes+1))
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case p := <-done:
		if p != nil {
			panic(p)
		}
	case <-timer.C:
	}
}
