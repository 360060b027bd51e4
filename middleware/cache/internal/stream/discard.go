package stream

import (
	"io"
	"net/http"
	"time"
)

// ExactReader reads as many bytes as were promised: fewer are an error, more are not read.
type ExactReader struct {
	io.Reader
	Left int64
}

func (e *ExactReader) Read(p []byte) (int, error) {
	if e.Left == 0 {
		return 0, io.EOF
	}
	n, err := e.Reader.Read(p[:min(int64(len(p)), e.Left)])
	if e.Left -= int64(n); err == io.EOF && e.Left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// drainLimit bounds what is read from a body that no caller reads any more: from a dropped one so that its connection can be used again,
// and from one with a copy so that the copy can be stored.
const drainLimit = 64 << 10

// DrainTime bounds how long that may take, for the caller waits, and the connection may have stalled.
const DrainTime = 50 * time.Millisecond

// Discard drops the body of a response. A body that may be long, or without end, is closed as it is.
func Discard(resp *http.Response) {
	if resp.Body != http.NoBody && resp.ContentLength >= 0 && resp.ContentLength <= drainLimit {
		stalled := time.AfterFunc(DrainTime, func() { WithoutPanic(func() { resp.Body.Close() }) })
		io.CopyN(io.Discard, resp.Body, drainLimit)
		if !stalled.Stop() {
			return
		}
	}
	resp.Body.Close()
}
