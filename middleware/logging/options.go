package logging

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/plyhttp/ply/redact"
)

// redactorFor returns the redactor that applies to req: that of the layer, or else of the request's context, or else nil, the default.
func redactorFor(own *redact.Redactor, req *http.Request) *redact.Redactor {
	if own != nil {
		return own
	}
	return redact.From(req.Context())
}

// Options say what to write. The zero value writes to the default logger.
type Options struct {
	// Logger receives the records, with the context of the request, so that a handler can add trace ids from it.
	// A call passes untouched if the logger does not take [slog.LevelError]. Zero means slog.Default, as it is at each call.
	Logger *slog.Logger

	// Level chooses the level of a record. It must not block. Zero means [DefaultLevel].
	Level func(Outcome) slog.Level

	// Slow is the duration from which on a call is slow: its record says so, at one level higher.
	// Zero means that no call is.
	Slow time.Duration

	// AtHeaders writes the record when the header of the response has come, for streams that never end.
	// Zero means when the body has ended or is closed.
	AtHeaders bool

	// Sample leaves out records of calls that went well. Zero means that all are written.
	Sample Sample

	// Redactor decides what may be shown. Zero means that of the request's context ([redact.With]), or else the default: userinfo, query values, and header values that no standard
	// says are harmless, show as REDACTED.
	Redactor *redact.Redactor

	// Headers adds the header fields of request and response, each value as the Redactor shows it. Zero means none.
	Headers bool

	// Connection adds the address at the other end of the connection, and whether it had served before,
	// if the transport takes part in [net/http/httptrace]. Zero means neither.
	Connection bool

	// BodyBytes adds up to so many bytes of each body, taken as the body passes by: nothing is read ahead or held back.
	// Only textual media types without a content coding are taken, and no event stream. A request body is the one that is sent.
	// Zero means none.
	BodyBytes int

	// Mask hides secrets in what was taken of a body; it may change body in place. What is taken can end anywhere.
	// Zero means [MaskSecrets].
	Mask func(mediaType string, body []byte) []byte
}

// Sample says which records of calls that went well are written. Those of failed, slow and repeated calls always are:
// of calls, that is, for which [Outcome.Routine] is false.
// A record that is written says how many were left out before it.
type Sample struct {
	Every     int     // one in so many. Zero and one mean all
	PerSecond float64 // at most so many, in bursts of as many or one. Zero means no bound
}

// highest is the level that decides whether a call is watched at all:
// nobody knows at its start that it will not fail.
const highest = slog.LevelError

func (o Options) withDefaults() Options {
	if o.Level == nil {
		o.Level = DefaultLevel
	}
	if o.Mask == nil {
		o.Mask = MaskSecrets
	}
	return o
}

func (o *Options) logger() *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return slog.Default()
}
