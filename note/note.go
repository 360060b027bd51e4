// Package note lets a layer tell what it did to a call: that it waited, refused or sent a copy of a request.
//
// The notes of a call are in its record (ply.CallInfo), in its log, and as events in its span. A layer tells them for the context of the request that it handles:
//
//	note.Tell(req.Context(), note.Note{Layer: "throttle", Event: "waited", Detail: "for the quota", Start: start, Duration: time.Since(start)})
//
// That costs a look into the context, and nothing else where no record, log or span is made. There is no need to import the root package.
package note

import (
	"context"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
)

// Note is one thing that a layer did to a call.
type Note struct {
	Layer    string        // the name of the layer, as ply.Layers shows it
	Event    string        // what happened, one of few words: "waited"
	Detail   string        // more for people, if there is more to say: "for the quota". Without secrets
	Start    time.Time     // when it began; zero means when it is told
	Duration time.Duration // Zero means that it took no time
}

// String returns the note in words: "throttle waited for the quota, 120ms".
func (n Note) String() string { return attempt.Note(n).String() }

// Tell adds a note to what is known of the call that ctx belongs to. It may be called at any time, from any goroutine; what comes after the end of the call is dropped,
// as is what goes beyond a hundred notes.
func Tell(ctx context.Context, n Note) { attempt.Tell(ctx, attempt.Note(n)) }

// Collect returns a context, and a function that returns the notes told for it so far, in the order in which what they are about began.
func Collect(ctx context.Context) (_ context.Context, notes func() []Note) {
	ctx, tally := attempt.WithTally(ctx)
	return ctx, func() []Note {
		var all []Note
		for _, n := range tally.Notes() {
			all = append(all, Note(n))
		}
		return all
	}
}

// WithHedge returns a context for the nth copy of a request that is under way already. The record of the call says so of its exchanges.
func WithHedge(ctx context.Context, n int) context.Context { return attempt.WithHedge(ctx, n) }

// Hedge returns the number that the context of a copy was given, zero for the request itself.
func Hedge(ctx context.Context) int { return attempt.Hedge(ctx) }
