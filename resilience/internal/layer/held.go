package layer

import (
	"io"
	"net/http"
)

// Held is the body that a handler has in its hands: that of the request, until the next handler gets it, and that of the response, until the caller does.
// A hook that panics, or ends the goroutine, may keep it from there: Close, deferred, closes it then.
type Held struct{ body io.Closer }

// Hold begins with the body of the request.
func Hold(req *http.Request) Held {
	var h Held
	if req.Body != nil {
		h.body = req.Body
	}
	return h
}

// Pass lets go of the body, which someone else will close.
func (h *Held) Pass() { h.body = nil }

// Take takes the body of the response, if it has one.
func (h *Held) Take(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		h.body = resp.Body
	}
}

// Close closes the body that was not passed.
func (h *Held) Close() {
	if h.body != nil {
		h.body.Close()
	}
}
