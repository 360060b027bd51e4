package attempt_test

import (
	"context"
	"testing"

	"github.com/plyhttp/ply/internal/attempt"
)

type call struct{ attempt.Record }

func (c *call) AttemptRecord() attempt.Record { return c.Record }

func TestTallyHearsOfCallsBelow(t *testing.T) {
	outer, callTally := attempt.WithTally(t.Context())
	first, hop1 := attempt.WithTally(outer)
	if _, known := hop1.Record(); known || attempt.Last(first) != nil {
		t.Error("a tally knows of a call before there was one")
	}
	c := &call{attempt.Record{Number: 2, Resends: 1, Stop: "done"}}
	attempt.Report(first, c)
	for name, tally := range map[string]*attempt.Tally{"call": callTally, "hop": hop1} {
		if r, known := tally.Record(); !known || r != c.Record {
			t.Errorf("%s: %+v, %v", name, r, known)
		}
	}
	second, hop2 := attempt.WithTally(outer)
	if _, known := hop2.Record(); known {
		t.Error("the tally of a hop knows of another hop")
	}
	if attempt.Last(second) != c {
		t.Error("the next hop does not hear of the one before")
	}
	attempt.Report(context.Background(), c) // without a tally it has no effect
}

func TestReportReachesATallyOfItsOwnAndThoseAround(t *testing.T) {
	outer, call := attempt.WithTally(t.Context())
	var own attempt.Tally
	var inner attempt.Context
	inner.Fill(outer, &own)
	attempt.Tell(&inner, attempt.Note{Layer: "limit"})
	if len(call.Notes()) != 1 || len(own.Notes()) != 1 {
		t.Errorf("the call has %v, the tally %v", call.Notes(), own.Notes())
	}
}

func TestOf(t *testing.T) {
	c := &call{attempt.Record{Number: 1}}
	if r, ok := attempt.Of(context.WithValue(t.Context(), attempt.Key{}, c)); !ok || r != c.Record {
		t.Errorf("%+v, %v", r, ok)
	}
	if _, ok := attempt.Of(t.Context()); ok {
		t.Error("a record from nowhere")
	}
}
