package tape

import (
	"net/http"
	"time"
)

// A Tape is recorded traffic: requests, and what came back for each, with the time that it took.
// The zero value is an empty tape. A tape that several goroutines use, or that a player plays, must not change.
type Tape struct {
	Start     time.Time   // when the recording began; zero if that is unknown
	Exchanges []*Exchange // in the order in which the requests were sent, so that At never decreases
}

// An Exchange is one request and its outcome: a response, a failure, or a response whose body was cut by one.
type Exchange struct {
	At       time.Duration // from the start of the tape until the request was sent
	Request  Request
	Response *Response // nil if none came
	Failure  *Failure  // why no response came, or why its body ends early; nil if the whole response came
}

// A Request is what was sent. Of the tapes that this package records it has no secrets; see [Options].
type Request struct {
	Method  string // "" is GET
	URL     string // absolute
	Host    string // the Host field where it differs from the URL's authority; "" otherwise
	Header  http.Header
	Body    []byte      // empty if there was none
	Trailer http.Header // the fields after the body; nil if there were none
}

// A Response is what the recording layer got from the one below. Interim responses (1xx) are not part of it, but 101 is.
type Response struct {
	Status  int           // such as 200
	Reason  string        // the reason phrase of the status line (RFC 9112 §4); "" is that which belongs to the status
	Proto   string        // such as "HTTP/1.1" and "HTTP/2.0"; "" is HTTP/1.1
	Header  http.Header   // with Content-Length, if the response had it
	Trailer http.Header   // the fields after the body; nil if there were none
	Wait    time.Duration // from sending the request until the header came

	// Length is the length of the body as the response announced it, -1 if it did not, as in [http.Response.ContentLength].
	// A response to HEAD has a length without a body.
	Length int64

	// Uncompressed says that the transport decoded the body, which the server sent with gzip; see [http.Response.Uncompressed].
	Uncompressed bool

	// Chunks are the pieces of the body as they arrived, in their order. None of them is empty.
	Chunks []Chunk
}

// A Chunk is a piece of a body.
type Chunk struct {
	At   time.Duration // from the header of the response until the piece came; it never decreases from one piece to the next
	Data []byte
}

// Body returns the whole body, as far as it came.
func (r *Response) Body() []byte {
	n := 0
	for _, c := range r.Chunks {
		n += len(c.Data)
	}
	body := make([]byte, 0, n)
	for _, c := range r.Chunks {
		body = append(body, c.Data...)
	}
	return body
}

// A Failure is why an exchange has no response, or not the whole of it.
type Failure struct {
	// At is the time until it happened: from sending the request, or from the header of the response if there is one.
	At   time.Duration
	Kind FailureKind
	Text string // the text of the error, without secrets
}

// A FailureKind is the class of a [Failure]. It decides which error is replayed; see [Failure.Err].
type FailureKind string

// The kinds of failures. Any other is as FailureOther.
const (
	FailureTimeout  FailureKind = "timeout"  // a time limit of the network, such as that of a dial or a read: a net.Error with Timeout
	FailureDeadline FailureKind = "deadline" // the deadline of the request's context
	FailureCanceled FailureKind = "canceled" // the caller canceled the request
	FailureRefused  FailureKind = "refused"  // the connection was refused
	FailureReset    FailureKind = "reset"    // the connection was reset
	FailureEOF      FailureKind = "eof"      // the connection ended too early
	FailureDNS      FailureKind = "dns"      // the name of the host could not be resolved
	FailureTLS      FailureKind = "tls"      // the handshake failed, or the certificate was not trusted
	FailureClosed   FailureKind = "closed"   // the caller closed the body before its end, or never read it to the end; what would have followed is unknown
	FailureOther    FailureKind = "other"    // anything else
)
