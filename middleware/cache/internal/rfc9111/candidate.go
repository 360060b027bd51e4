package rfc9111

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/field"
)

// Candidate is a response that might be stored, with what is needed to judge it.
type Candidate struct {
	Request  *http.Request
	Response *http.Response
	Age      time.Duration  // at receipt (RFC 9111 §4.2.3)
	Verdict  expiry.Verdict // of the expiry strategy
	explicit bool           // the server gave it a lifetime (RFC 9111 §4.2.1)
	Carried  Carried        // the credentials that were sent for it

	Confirmed bool // it is stored already, and the origin has confirmed it
	failure   bool // an error that no strategy has named by its status: the server's word about it counts
	Unwanted  bool // such an error that the server gave no lifetime

	controls field.Response // what controls the response, once that has been read
	read     bool
}

// controlling is what controls the response: its Cache-Control, or a targeted field in its place (RFC 9213 §2.2). It is read once.
func (c *Candidate) controlling(p *Policy) *field.Response {
	if !c.read {
		c.controls, _ = field.Controlling(c.Response.Header, p.Targeted)
		c.read = true
	}
	return &c.controls
}
