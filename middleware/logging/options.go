package logging

import (
	"log/slog"
	"time"
)

// Options say what to write. The zero value writes to the default logger.
type Options struct {
	// Logger receives the records, with the context of the request, so that a handler can add trace ids from it.
	// A call passes untouched if the logger does not take [slog.LevelError]. Zero means slog.Default, as it is at each call.
	Logger *slog.Logger

	// Level chooses the level of a record. It must not block. Zero means [LevelOf].
	Level func(Outcome) slog.Level

	// Slow is the duration from which on a call is slow: its record says so, at one level higher.
	// Zero means that no call is.
	Slow time.Duration

	// AtHeaders writes the record when the header of the response has come, for streams that never end.
	// Zero means when the body has ended or is closed.
	AtHeaders bool
}

// highest is the level that decides whether a call is watched at all:
// nobody knows at its start that it will not fail.
const highest = slog.LevelError

func (o Options) withDefaults() Options {
	if o.Level == nil {
		o.Level = LevelOf
	}
	return o
}

func (o *Options) logger() *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return slog.Default()
}
