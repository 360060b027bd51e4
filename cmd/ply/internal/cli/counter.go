package cli

import (
	"fmt"
	"io"
	"time"
)

// A counter shows on a terminal how far a command is whose end it does not know. It has one goroutine.
type counter struct {
	w     io.Writer // nil where there is no terminal
	verb  string
	n     int64
	shown time.Time
}

// progress returns a counter on stderr, which is silent unless that is a terminal whose cursor can be moved. end removes it.
func (e *env) progress(verb string) *counter {
	c := &counter{verb: verb}
	if e.movesCursor() {
		c.w = e.stderr
	}
	return c
}

func (c *counter) add(n int64) {
	c.n += n
	if now := time.Now(); c.w != nil && now.Sub(c.shown) > 100*time.Millisecond {
		c.shown = now
		fmt.Fprintf(c.w, "\r\x1b[K%s %d", c.verb, c.n)
	}
}

// clear removes what is shown, for another line.
func (c *counter) clear() {
	if c.w != nil && !c.shown.IsZero() {
		fmt.Fprint(c.w, "\r\x1b[K")
	}
}

func (c *counter) end() { c.clear() }
