package tape

import (
	"math"
	"net/http"
	"time"

	"github.com/plyhttp/ply/har"
)

// harExtension is what an archive has of an exchange beside what the format knows. Encoded is where the cache's archives have it as well.
type harExtension struct {
	Encoded bool     `json:",omitempty"` // the content has the coding that Content-Encoding names
	Tape    *harTape `json:",omitempty"`
}

// harTape is what only a tape knows. Times are in nanoseconds.
type harTape struct {
	Start    *time.Time  `json:",omitempty"` // Tape.Start, unless it is when the first request was sent
	Chunks   [][2]int64  `json:",omitempty"` // when each piece of the content came, and its length
	Failure  FailureKind `json:",omitempty"`
	Trailers []har.Pair  `json:",omitempty"` // of the response

	RequestTrailers []har.Pair `json:",omitempty"`
}

// millisecondsOf is a duration of an archive, as far as it is one: -1 stands for a phase that there was not.
func millisecondsOf(ms float64) time.Duration {
	if !(ms > 0) {
		return 0
	}
	return time.Duration(math.Round(min(ms, har.Milliseconds(maxTime)) * float64(time.Millisecond)))
}

// maxTime is the longest that a phase of an archive may take; what is longer is cut. Up to it, milliseconds as a float64 keep each nanosecond.
const maxTime = 10 * 24 * time.Hour

// hasBody reports whether a response to a method can have a body (RFC 9110 §6.4.1).
func hasBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
