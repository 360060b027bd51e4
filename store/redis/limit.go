package redis

import (
	"fmt"
	"net"
)

// limitedConn is a connection to a server whose replies announce no more than limit bytes in one string and maxElements in one array, and whose lines end.
// The client reserves memory for what is announced, before it comes.
type limitedConn struct {
	net.Conn
	limit int64

	// The rest is touched by Read alone.
	line   []byte // the beginning of the current line, at most maxAnnounced bytes of it
	length int    // of the current line so far
	skip   int64  // bytes of a string's payload, its CRLF included, that are still to come
	bad    error
}

const (
	maxElements  = 1 << 17
	maxLine      = 64 << 10 // bytes
	maxAnnounced = 24       // a type and a number
)

// Read passes on what has been checked. After a violation nothing more is read: nobody knows where the next reply begins.
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
				return fmt.Errorf("redis: a reply has a line of more than %d bytes", maxLine)
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
	limit := int64(maxElements)
	isString := false
	switch c.line[0] {
	case '$', '=', '!':
		limit, isString = c.limit, true
	case '*', '%', '~', '>', '|':
	default:
		return nil
	}
	n, ok := int64(0), len(c.line) < maxAnnounced
	for _, b := range c.line[1:] {
		switch {
		case b >= '0' && b <= '9' && n <= limit:
			n = n*10 + int64(b-'0')
		case b == '-' && n == 0: // -1 is null
			return nil
		case b == '\r':
		default:
			ok = false
		}
	}
	if !ok || n > limit {
		return fmt.Errorf("redis: a reply announces %.*q, which is more than the limit of %d", maxAnnounced, c.line, limit)
	}
	if isString {
		c.skip = n + 2
	}
	return nil
}
