package logging

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/plyhttp/ply/redact"
)

// redactorFor returns the redactor for req: that of the layer, else that of the request's context, else nil, the default.
func redactorFor(own *redact.Redactor, req *http.Request) *redact.Redactor {
	if own != nil {
		return own
	}
	return redact.From(req.Context())
}

// Options configure a logging layer. The zero value writes to the default logger.
type Options struct {
	// Logger receives the records, with the context of the request, so that a handler can add trace ids.
	// A call passes untouched if the logger is not enabled for [slog.LevelError]. Nil means [slog.Default] at the time of each call.
	Logger *slog.Logger

	// Level returns the level of a record. It must not block, and calls come concurrently. Nil means [DefaultLevel].
	Level func(Outcome) slog.Level

	// Slow is the shortest duration of a slow call. The record of a slow call says so, and is one level higher.
	// Zero means that no call is slow.
	Slow time.Duration

	// AtHeaders writes the record when the header of the response has arrived, for streams that never end.
	// False means when the body has ended or was closed.
	AtHeaders bool

	// Sample leaves out records of routine calls. The zero Sample writes all.
	Sample Sample

	// Redactor decides what may be shown. Nil means that of the request's context ([redact.With]), or else the default: userinfo, query values, and values of header fields
	// that are not on the list of harmless ones, show as REDACTED.
	Redactor *redact.Redactor

	// Headers adds the header fields of request and response, each value as the Redactor shows it. False means none.
	Headers bool

	// Connection adds the address at the other end of the connection, and whether the connection was reused,
	// if the transport supports [net/http/httptrace]. False means neither.
	Connection bool

	// BodyBytes is how many bytes of each body are added. They are copied as the body passes: nothing is read ahead or held back.
	// Only bodies of a textual media type without a content coding are added, and no event streams. Zero means none.
	BodyBytes int

	// Mask hides secrets in the beginning of a body, which can end anywhere. It may change body in place, and calls come concurrently. Nil means [MaskSecrets].
	Mask func(mediaType string, body []byte) []byte
}

// Sample selects the records of routine calls that are written. Records of calls for which [Outcome.Routine] is false are always written.
// Each record says how many were left out before it.
type Sample struct {
	Every     int     // write one record in this many. Zero and one mean all
	PerSecond float64 // write at most this many in a second, with bursts of as many, but at least one. Zero means no bound
}

// highest is the level that decides whether a call is observed at all: any call may fail in the end.
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
