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
	if worthReading(resp) {
		read(resp.Body)
	}
	resp.Body.Close()
}

// worthReading reports whether draining saves a connection at little cost. Closing an HTTP/2 stream keeps its connection anyway.
func worthReading(resp *http.Response) bool {
	return resp.Body != http.NoBody && resp.ProtoMajor < 2 && resp.ContentLength <= drainBytes
}

// read reads on a goroutine of its own because nothing bounds the time that a Read takes.
// When it gives up, the Close that follows ends that Read.
func read(body io.Reader) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, io.LimitReader(body, drainBytes+1))
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
