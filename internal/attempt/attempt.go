// Package attempt lets layers read what a retry layer or one that authenticates did, without importing it.
package attempt

import (
	"context"
	"sync"
	"time"
)

// Record is what a retry layer reports about one call.
type Record struct {
	Number  int    // of the last attempt so far, counted from 1
	Resends int    // how often the call was sent again, including redirects
	Stop    string // why there was no further attempt; "" while the call is under way
}

// Recorder is a retry layer's own record of a call. The context of each attempt has it under [Key].
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

// Tally receives the record of a call from the retry layer below. It does so even if a layer between them, such as a cache,
// returns a response of its own, whose context does not lead to the retry layer.
type Tally struct {
	outer *Tally

	mu     sync.Mutex // guards the fields below
	record Record
	last   Recorder // nil before the first report
	auth   Auth
	notes  []Note
	ended  bool
}

// End keeps what t has as it is: later reports and notes do not reach it.
func (t *Tally) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

type tallyKey struct{}

// WithTally returns a context with a new tally, which [Report] reaches in addition to those that ctx has already.
func WithTally(ctx context.Context) (context.Context, *Tally) {
	c := &tallyContext{Context: ctx, tally: Tally{outer: tallyOf(ctx)}}
	return c, &c.tally
}

// tallyContext is a context with a tally: one allocation for the two.
type tallyContext struct {
	context.Context
	tally Tally
}

func (c *tallyContext) Value(key any) any {
	if key == (tallyKey{}) {
		return &c.tally
	}
	return c.Context.Value(key)
}

// String is what fmt prints for the context.
func (c *tallyContext) String() string { return "attempt.tallyContext" }

// Continue returns a context in which [Report] reaches t, the tally of a call that continues.
func Continue(ctx context.Context, t *Tally) context.Context {
	return context.WithValue(ctx, tallyKey{}, t)
}

// Context is a context with a tally, for callers that have room for both in things of their own: Fill allocates nothing.
type Context struct {
	context.Context
	tally *Tally
}

// Fill makes c a context with the tally t, which [Report] reaches in addition to those that ctx has. It is called once, before either is used.
func (c *Context) Fill(ctx context.Context, t *Tally) {
	t.outer = tallyOf(ctx)
	c.Context, c.tally = ctx, t
}

// Value returns the tally of c, and everything else from the context that it was made of.
func (c *Context) Value(key any) any {
	if key == (tallyKey{}) {
		return c.tally
	}
	return c.Context.Value(key)
}

// String is what fmt prints for the context.
func (c *Context) String() string { return "attempt.Context" }

func tallyOf(ctx context.Context) *Tally {
	t, _ := ctx.Value(tallyKey{}).(*Tally)
	return t
}

// WithoutTally returns a context in which [Report] reaches no tally.
func WithoutTally(ctx context.Context) context.Context {
	if tallyOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, tallyKey{}, (*Tally)(nil))
}

// Report passes the record of a call to all tallies of ctx. The last report counts.
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
	if !t.ended {
		t.last, t.record = last, r
	}
}

// Record returns the last reported record, and whether there is one.
func (t *Tally) Record() (Record, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record, t.last != nil
}

// Outcomes returns how the attempts ended, in order, or nil if no retry layer has reported them.
func (t *Tally) Outcomes() []Outcome {
	if r, ok := t.Reporter().(interface{ AttemptOutcomes() []Outcome }); ok {
		return r.AttemptOutcomes()
	}
	return nil
}

// Last returns the last reporter of the innermost tally of ctx that has one, or nil.
// With a tally for all hops of a call, that is how a hop finds the record of the hop before it.
func Last(ctx context.Context) Recorder {
	for t := tallyOf(ctx); t != nil; t = t.outer {
		if last := t.Reporter(); last != nil {
			return last
		}
	}
	return nil
}

// Reporter returns the last reporter, or nil if there is none.
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

// ReportAuth passes what was done for a request to all tallies of ctx. The last report counts.
func ReportAuth(ctx context.Context, a Auth) {
	for t := tallyOf(ctx); t != nil; t = t.outer {
		t.setAuth(a)
	}
}

func (t *Tally) setAuth(a Auth) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.auth = a
	}
}

// Auth returns the last reported Auth, or the zero Auth.
func (t *Tally) Auth() Auth {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.auth
}
