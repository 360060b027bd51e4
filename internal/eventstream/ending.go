package eventstream

import "bytes"

// An Ending watches a stream pass by, in pieces of any size, and says whether it may end where it is. The zero Ending is at the beginning of a stream.
//
// It reads lines as a Reader does (HTML §9.2.6), and keeps of each only as much as tells an event of type "error" from others.
type Ending struct {
	line       [errorTypeBytes]byte // how the present line begins
	length     int                  // of it, up to len(line)
	afterCR    bool                 // an LF that comes next belongs to the end of the last line
	begun      bool                 // the first line has ended
	pending    bool                 // the present block has a field
	hasData    bool                 // one of them is data: its end is an event
	errorEvent bool                 // the event would be one of type "error"
	events     bool                 // there has been an event
	failed     bool                 // one of type "error"
}

// errorTypeBytes is one more than the longest line that gives an event the type "error", a byte order mark included.
const errorTypeBytes = len("\uFEFFevent: error") + 1

// The reasons for which a stream has not ended well; see [Ending.Incomplete].
const (
	InsideEvent = "the event stream ended inside an event"
	NoEvent     = "the event stream ended without an event"
	ErrorEvent  = "the event stream has an event of type error"
)

// Write takes in the next bytes of the stream.
func (e *Ending) Write(p []byte) {
	for len(p) > 0 {
		if e.afterCR {
			e.afterCR = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			e.add(p)
			return
		}
		e.add(p[:i])
		e.endLine()
		e.afterCR = p[i] == '\r'
		p = p[i+1:]
	}
}

func (e *Ending) add(p []byte) { e.length += copy(e.line[e.length:], p) }

// endLine takes in the line that has just ended.
func (e *Ending) endLine() {
	line := e.line[:e.length]
	if !e.begun {
		e.begun = true
		line = bytes.TrimPrefix(line, []byte("\uFEFF"))
	}
	e.length = 0
	if len(line) == 0 {
		e.events = e.events || e.hasData
		e.failed = e.failed || e.hasData && e.errorEvent
		e.pending, e.hasData, e.errorEvent = false, false, false
		return
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	switch string(name) {
	case "": // a comment
		return
	case "data":
		e.hasData = true
	case "event":
		e.errorEvent = string(bytes.TrimPrefix(value, []byte{' '})) == "error"
	}
	e.pending = true
}

// Incomplete returns why a stream that ended here is not whole, or the empty string if it is: it has an event, none of them has the type "error",
// by which servers say that they could not go on, and it ends with the end of a block or a comment. What comes after the last block, a reader would drop.
func (e *Ending) Incomplete() string {
	switch {
	case e.length > 0 || e.pending:
		return InsideEvent
	case e.failed:
		return ErrorEvent
	case !e.events:
		return NoEvent
	}
	return ""
}
