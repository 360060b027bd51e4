package attempt

import (
	"context"
	"slices"
	"time"
)

// Note is what a layer did to a call beside its attempts; see package note.
type Note struct {
	Layer    string // the layer's name, as "limit"
	Event    string // one of few words, as "waited"
	Detail   string // more for people, as "for a slot"; without secrets
	Start    time.Time
	Duration time.Duration // zero for a moment
}

// String returns the note in words: "limit waited for a slot, 120ms".
func (n Note) String() string {
	text := n.Layer + " " + n.Event
	if n.Detail != "" {
		text += " " + n.Detail
	}
	if n.Duration > 0 {
		text += ", " + n.Duration.Round(time.Microsecond).String()
	}
	return text
}

// maxNotes bounds what a tally keeps of a call that is tried very often.
const maxNotes = 100

// Tell adds a note to all tallies of ctx. A note that does not say when it began is about this moment.
func Tell(ctx context.Context, n Note) {
	if n.Start.IsZero() {
		n.Start = time.Now()
	}
	for t := tallyOf(ctx); t != nil; t = t.outer {
		t.add(n)
	}
}

func (t *Tally) add(n Note) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended && len(t.notes) < maxNotes {
		t.notes = append(t.notes, n)
	}
}

// Notes returns the notes so far, in the order in which what they are about began; the first 100 are kept.
func (t *Tally) Notes() []Note {
	t.mu.Lock()
	defer t.mu.Unlock()
	notes := slices.Clone(t.notes)
	slices.SortStableFunc(notes, func(a, b Note) int { return a.Start.Compare(b.Start) })
	return notes
}

type hedgeKey struct{}

// WithHedge returns a context for the nth copy of a request that is under way already.
func WithHedge(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, hedgeKey{}, n)
}

// Hedge returns the number of the copy that ctx belongs to; zero for the request itself.
func Hedge(ctx context.Context) int {
	n, _ := ctx.Value(hedgeKey{}).(int)
	return n
}
