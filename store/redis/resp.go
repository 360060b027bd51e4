package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// pushes reads what a server sends on a tracking connection, RESP3, and reserves memory for one name at a time.
type pushes struct {
	r           *bufio.Reader
	invalidated func(name string) // "" means all
}

const (
	maxDepth = 8
	maxName  = 4096 // no string that is expected here is longer
)

var errProtocol = errors.New("the reply is not RESP3")

// next reads one message. An error that the server sends is errRefused.
func (p *pushes) next() error {
	kind, n, err := p.line()
	if err != nil {
		return err
	}
	switch {
	case kind == '-' || kind == '!':
		return errRefused
	case kind == '>' && n == 2:
		return p.push()
	}
	return p.rest(kind, n, 0)
}

// push reads the two parts of a message of the server's own accord.
func (p *pushes) push() error {
	what, err := p.text()
	if err != nil {
		return err
	}
	kind, n, err := p.line()
	if err != nil {
		return err
	}
	if what != "invalidate" {
		return p.rest(kind, n, 1)
	}
	switch kind {
	case '_': // FLUSHALL, FLUSHDB
		p.invalidated("")
		return nil
	case '*':
		if n < 0 {
			p.invalidated("")
		}
		for range n {
			name, err := p.text()
			if err != nil {
				return err
			}
			if name != "" {
				p.invalidated(name)
			}
		}
		return nil
	}
	return errProtocol
}

// text reads a string.
func (p *pushes) text() (string, error) {
	kind, n, err := p.line()
	if err != nil {
		return "", err
	}
	if kind != '$' || n < 0 || n > maxName {
		return "", errProtocol
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// line reads the type of a value, and its number if it has one.
func (p *pushes) line() (kind byte, n int64, err error) {
	b, err := p.r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(b) < 3 || b[len(b)-2] != '\r' {
		return 0, 0, errProtocol
	}
	kind, b = b[0], b[1:len(b)-2]
	switch kind {
	case '$', '=', '!', '*', '~', '%', '>', '|':
		if n, err = strconv.ParseInt(string(b), 10, 64); err != nil || n < -1 {
			return 0, 0, fmt.Errorf("%w: a length of %.20q", errProtocol, b)
		}
	}
	return kind, n, nil
}

// rest passes over what follows the first line of a value.
func (p *pushes) rest(kind byte, n int64, depth int) error {
	if depth > maxDepth {
		return errProtocol
	}
	switch kind {
	case '$', '=', '!':
		if n > maxName {
			return errProtocol
		}
		if n >= 0 {
			_, err := p.r.Discard(int(n) + 2)
			return err
		}
	case '%', '|':
		n *= 2
		fallthrough
	case '*', '~', '>':
		if n > maxElements {
			return errProtocol
		}
		for range n {
			kind, n, err := p.line()
			if err != nil {
				return err
			}
			if err := p.rest(kind, n, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
