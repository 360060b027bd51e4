// Package eventstream reads streams of server-sent events as the HTML standard defines them (HTML §9.2.5 and §9.2.6, "Server-sent events").
package eventstream

import (
	"bytes"
	"errors"
	"io"
	"math"
	"time"
)

// Event is one event as it is dispatched.
type Event struct {
	ID    string        // the last event ID
	Type  string        // "message" unless the stream says otherwise
	Data  string        // the lines of data, with "\n" in between
	Retry time.Duration // the reconnection time that the stream has set so far, or 0
}

// ErrTooLong is what Next returns for a line or an event above the limit. The rest of the stream cannot be read.
var ErrTooLong = errors.New("eventstream: line or event above the limit")

// maxIdleReads is how often in a row the stream may return nothing at all.
const maxIdleReads = 100

// A Reader reads the events of a stream. It is for one goroutine.
type Reader struct {
	stream io.Reader
	limit  int64 // bytes of a line, and of an event; negative for none

	buf            [4096]byte
	unread         []byte // a part of buf
	end            error  // of the stream, once it has been seen
	line           []byte // what is known of the line that has not ended yet
	afterCR, begun bool

	// The buffers of the standard.
	data, eventType []byte
	id              string

	lastID string
	retry  time.Duration
	timed  bool // the stream has set retry
}

// NewReader reads stream. The last event ID is lastID until the stream sets another.
func NewReader(stream io.Reader, lastID string, limit int64) *Reader {
	return &Reader{stream: stream, limit: limit, id: lastID, lastID: lastID}
}

// LastID returns the last event ID: that of the latest block that has ended, whether or not it was an event.
func (r *Reader) LastID() string { return r.lastID }

// Retry returns the reconnection time that the stream has set, which may be 0, and whether it has.
func (r *Reader) Retry() (time.Duration, bool) { return r.retry, r.timed }

// Next returns the next event. At the end of the stream it returns io.EOF; what is incomplete then is dropped.
// It does not wait for more than the end of the event: a CR ends a line whatever follows.
func (r *Reader) Next() (Event, error) {
	for {
		line, err := r.nextLine()
		if err != nil {
			return Event{}, err
		}
		if len(line) > 0 {
			if err := r.field(line); err != nil {
				return Event{}, err
			}
			continue
		}
		if e, ok := r.dispatch(); ok {
			return e, nil
		}
	}
}

// nextLine returns a line without its end, which is CR, LF or both. It is valid until the next call.
func (r *Reader) nextLine() ([]byte, error) {
	r.line = r.line[:0]
	for idle := 0; ; {
		if r.afterCR && len(r.unread) > 0 {
			r.unread, r.afterCR = bytes.TrimPrefix(r.unread, []byte{'\n'}), false
		}
		part, ended := r.unread, false
		if i := bytes.IndexAny(r.unread, "\r\n"); i >= 0 {
			r.afterCR = r.unread[i] == '\r'
			part, r.unread, ended = r.unread[:i], r.unread[i+1:], true
		} else {
			r.unread = nil
		}
		if r.limit >= 0 && int64(len(r.line)+len(part)) > r.limit {
			return nil, ErrTooLong
		}
		r.line = append(r.line, part...)
		if ended {
			return r.withoutMark(), nil
		}
		if r.end != nil {
			return nil, r.end
		}
		n, err := r.stream.Read(r.buf[:])
		r.unread, r.end = r.buf[:n], err
		if idle++; n > 0 || err != nil {
			idle = 0
		}
		if idle == maxIdleReads {
			return nil, io.ErrNoProgress
		}
	}
}

// withoutMark returns the line without the byte order mark that a stream may begin with.
func (r *Reader) withoutMark() []byte {
	line := r.line
	if !r.begun {
		r.begun = true
		line = bytes.TrimPrefix(line, []byte("\uFEFF"))
	}
	return line
}

// field processes a line that is not empty.
func (r *Reader) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '}) // one
	switch string(name) {
	case "event":
		r.eventType = appendUTF8(r.eventType[:0], value)
	case "data":
		r.data = append(appendUTF8(r.data, value), '\n')
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.id = string(appendUTF8(nil, value))
		}
	case "retry":
		if d, ok := milliseconds(value); ok {
			r.retry, r.timed = d, true
		}
	}
	if r.limit >= 0 && int64(len(r.data)+len(r.eventType)+len(r.id)) > r.limit {
		return ErrTooLong
	}
	return nil
}

// dispatch ends a block. It returns an event unless the block had no data.
func (r *Reader) dispatch() (Event, bool) {
	r.lastID = r.id
	e := Event{ID: r.lastID, Type: "message", Retry: r.retry}
	if len(r.eventType) > 0 {
		e.Type = string(r.eventType)
	}
	r.eventType = r.eventType[:0]
	if len(r.data) == 0 {
		return Event{}, false
	}
	e.Data = string(r.data[:len(r.data)-1])
	r.data = r.data[:0]
	return e, true
}

// milliseconds reads ASCII digits. What is too large for a duration is the longest one.
func milliseconds(digits []byte) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > most {
			n = most
		}
	}
	return time.Duration(n) * time.Millisecond, len(digits) > 0
}
