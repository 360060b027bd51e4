// Package attempt lets layers read what a retry layer or one that authenticates did, without importing it.
package attempt

import (
	"context"
	"sync"
	"time"
)

// Record is what a retry layer tells of one call.
type Record struct {
	Number  int    // of the last attempt, or of the one under way; counts from 1
	Resends int    // how often the call was sent again, redirects included
	Stop    string // why the last attempt was the last; "" while the call is under way
}

// Recorder is a retry layer's own record of a call: a value in the context of each attempt.
type Recorder interface {
	AttemptRecord() Record
}

// Outcome is how one attempt ended.
type Outcome struct {
	Status   int           // of the response; zero means that there was none
	Err      error         // nil with a response
	Wait     time.Duration // before the attempt
	Duration time.Duration // to the response's header, or to the error
}

// Key is the key of the [Recorder] in a context.
type Key struct{}

// Of returns the record of the call that ctx belongs to, and whether there is one.
func Of(ctx context.Context) (Record, bool) {
	if r, ok := ctx.Value(Key{}).(Recorder); ok {
		return r.AttemptRecord(), true
	}
	return Record{}, false
}

// Tally receives the record of a call from the retry layer below.
// It finds its way through layers between them that answer with a response of their own, as a cache does.
type Tally struct {
	outer *Tally

	mu     sync.Mutex // guards the fields below
	record Record
	last   Recorder // nil before the first report
	auth   Auth
	notes  []Note
}

type tallyKey struct{}

// WithTally returns a context below which [Report] reaches the tally, beside those that ctx has already.
func WithTally(ctx context.Context) (context.Context, *Tally) {
	t := &Tally{outer: tallyOf(ctx)}
	return context.WithValue(ctx, tallyKey{}, t), t
}

// Continue returns a context below which [Report] reaches t: the tally of a call that goes on.
func Continue(ctx context.Context, t *Tally) context.Context {
	return context.WithValue(ctx, tallyKey{}, t)
}

func tallyOf(ctx context.Context) *Tally {
	t, _ := ctx.Value(tallyKey{}).(*Tally)
	return t
}

// WithoutTally returns a context below which [Report] reaches no tally.
func WithoutTally(ctx context.Context) context.Context {
	if tallyOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, tallyKey{}, (*Tally)(nil))
}

// Report tells all tallies of ctx about a call. The last report counts.
func Report(ctx context.Context, r Recorder) {
	t := tallyOf(ctx)
	if t == nil {
		return
	}
	for record := r.AttemptRecord(); t != nil; t = t.outer {
		t.set(r, record)
	}
}

func (t *Tally) set(last Recorder, r Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.record = last, r
}

// Record returns what has been reported, and whether anything has.
func (t *Tally) Record() (Record, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record, t.last != nil
}

// Outcomes returns how the attempts ended, in order, if a retry layer has reported that tells.
func (t *Tally) Outcomes() []Outcome {
	if r, ok := t.Reporter().(interface{ AttemptOutcomes() []Outcome }); ok {
		return r.AttemptOutcomes()
	}
	return nil
}

// Last returns who reported to the innermost tally of ctx that has been told of a call; nil if there is none.
// A tally made once for all hops of a call thus tells a hop of the one before.
func Last(ctx context.Context) Recorder {
	for t := tallyOf(ctx); t != nil; t = t.outer {
		if last := t.Reporter(); last != nil {
			return last
		}
	}
	return nil
}

// Reporter returns who reported last, nil if nobody has.
func (t *Tally) Reporter() Recorder {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Auth is what a layer that authenticates requests did for one.
type Auth struct {
	Status string // one word; "" without such a layer
	Reason string // why, or ""
}

// ReportAuth tells all tallies of ctx what was done for a request. The last report counts.
func ReportAuth(ctx context.Context, a Auth) {
	for t := tallyOf(ctx); t != nil; t = t.outer {
		t.mu.Lock()
		t.auth = a
		t.mu.Unlock()
	}
}

// Auth returns what has been reported, the zero Auth if nothing has.
func (t *Tally) Auth() Auth {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.auth
}
