package stored

import (
	"net/http"
	"strconv"
	"sync/atomic"
)

// StatusLine is the status of a response as net/http has it, but for the code, and its protocol.
type StatusLine struct {
	Reason       string // "200 OK"
	Proto        string
	Major, Minor byte // of the protocol
	shared       bool
}

// noLine is that of a response which says nothing.
var noLine = StatusLine{shared: true}

// protocols are the usual ones, and that of a response which says nothing of it, as one that a program has made.
var protocols = [...]StatusLine{{Proto: "HTTP/1.1", Major: 1, Minor: 1}, {Proto: "HTTP/2.0", Major: 2}, {Proto: "HTTP/3.0", Major: 3}, {Proto: "HTTP/1.0", Major: 1}, {}}

// usualLines are the lines with usual reason phrases, once they have been seen.
var usualLines [len(protocols)][600]atomic.Pointer[StatusLine]

// NewStatusLine returns the line of a response with this status. If it is a usual one, it is shared, and keeps nothing in memory that was read with it.
func NewStatusLine(status int, reason, proto string, major, minor byte) *StatusLine {
	if status >= 0 && status < len(usualLines[0]) {
		for i := range protocols {
			if p := &protocols[i]; p.Proto == proto && p.Major == major && p.Minor == minor {
				if line := usualLine(&usualLines[i][status], status, p); line.Reason == reason {
					return line
				}
			}
		}
	}
	return &StatusLine{Reason: reason, Proto: proto, Major: major, Minor: minor}
}

// usualLine returns the line in a cell, which it makes if it is not there.
func usualLine(cell *atomic.Pointer[StatusLine], status int, p *StatusLine) *StatusLine {
	if line := cell.Load(); line != nil {
		return line
	}
	line := *p
	line.Reason, line.shared = strconv.Itoa(status)+" "+http.StatusText(status), true
	cell.CompareAndSwap(nil, &line)
	return cell.Load()
}
