package redis

import (
	"fmt"
	"net"
)

// limitedConn is a connection to a server whose replies announce no more than limit bytes in one string and maxElements in all arrays at once, whose lines end,
// and whose arrays nest no deeper than maxNesting. The client reserves memory for what is announced, before it comes,
// and calls itself for each value in another: a reply that nests without end would overflow the stack, which ends the process.
type limitedConn struct {
	net.Conn
	limit int64

	// The rest is touched by Read alone.
	line   []byte  // the beginning of the current line, at most maxAnnounced bytes of it
	length int     // of the current line so far
	skip   int64   // bytes of a string's payload, its CRLF included, that are still to come
	open   []int64 // how many values are still to come in each array, or the like, that has begun, the outermost first
	owed   int64   // the sum of open
	bad    error
}

// boundError says which bound of a limitedConn a reply would exceed.
type boundError string

func (e boundError) Error() string { return string(e) }

func boundErrorf(format string, args ...any) error { return boundError(fmt.Sprintf(format, args...)) }

const (
	maxElements  = 1 << 17
	maxLine      = 64 << 10 // bytes
	maxAnnounced = 24       // a type and a number
	maxNesting   = 32       // the reply to COMMAND, which a client of a cluster asks for, has 7
)

// Read passes on what has been checked. After a violation nothing more is read: where the next reply begins is not known.
func (c *limitedConn) Read(p []byte) (int, error) {
	if c.bad != nil {
		return 0, c.bad
	}
	n, err := c.Conn.Read(p)
	if c.bad = c.check(p[:n]); c.bad != nil {
		c.Close()
		return 0, c.bad
	}
	return n, err
}

func (c *limitedConn) check(p []byte) error {
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, int64(len(p)))
			c.skip -= n
			p = p[n:]
			continue
		}
		b := p[0]
		p = p[1:]
		if b != '\n' {
			if len(c.line) < maxAnnounced {
				c.line = append(c.line, b)
			}
			if c.length++; c.length > maxLine {
				return boundErrorf("redis: a reply has a line of more than %d bytes", maxLine)
			}
			continue
		}
		err := c.announced()
		c.line, c.length = c.line[:0], 0
		if err != nil {
			return err
		}
	}
	return nil
}

// announced looks at a complete line.
func (c *limitedConn) announced() error {
	if len(c.line) == 0 {
		return nil
	}
	kind := c.line[0]
	switch kind {
	case '$', '=', '!', '*', '%', '~', '>', '|':
	default:
		c.came()
		return nil
	}
	isString, limit := kind == '$' || kind == '=' || kind == '!', int64(maxElements)
	if isString {
		limit = c.limit
	}
	n, null, ok := announcedLength(c.line[1:], limit)
	if !ok {
		return boundErrorf("redis: a reply announces %.*q, which is more than the limit of %d", maxAnnounced, c.line, limit)
	}
	switch {
	case isString && !null:
		c.skip = n + 2
		c.came()
	case kind == '%':
		return c.begin(2 * n)
	case kind == '|': // what it says is about the value that follows: to the client, it has that one in it
		return c.begin(2*n + 1)
	default:
		return c.begin(n)
	}
	return nil
}

// announcedLength reads a number up to a limit. A negative one is null.
func announcedLength(digits []byte, limit int64) (n int64, null, ok bool) {
	ok = len(digits) < maxAnnounced-1
	for _, b := range digits {
		switch {
		case b >= '0' && b <= '9' && n <= limit:
			n = n*10 + int64(b-'0')
		case b == '-' && n == 0:
			return 0, true, true
		case b == '\r':
		default:
			ok = false
		}
	}
	return n, false, ok && n <= limit
}

// begin notes that an array, or the like, of n values has begun.
func (c *limitedConn) begin(n int64) error {
	switch {
	case n == 0:
		c.came()
		return nil
	case len(c.open) == maxNesting:
		return boundErrorf("redis: a reply nests deeper than the limit of %d", maxNesting)
	case c.owed+n > maxElements:
		return boundErrorf("redis: a reply announces more values than the limit of %d", maxElements)
	}
	c.open, c.owed = append(c.open, n), c.owed+n
	return nil
}

// came notes that a value has come, and with it perhaps the last one of those that it is in. The payload of a string may still be under way.
func (c *limitedConn) came() {
	for last := len(c.open) - 1; last >= 0; last-- {
		c.owed--
		if c.open[last]--; c.open[last] > 0 {
			return
		}
		c.open = c.open[:last]
	}
}
