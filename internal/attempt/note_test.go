package attempt_test

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
)

func TestNotesReachEveryTallyOfTheirCall(t *testing.T) {
	outer, call := attempt.WithTally(t.Context())
	first, hop1 := attempt.WithTally(outer)
	second, hop2 := attempt.WithTally(outer)
	attempt.Tell(first, attempt.Note{Layer: "limit", Event: "waited"})
	attempt.Tell(second, attempt.Note{Layer: "breaker", Event: "open"})
	attempt.Tell(attempt.WithoutTally(first), attempt.Note{Layer: "none"})
	attempt.Tell(t.Context(), attempt.Note{Layer: "none"})
	for name, tt := range map[string]struct {
		tally *attempt.Tally
		want  int
	}{"the call": {call, 2}, "the first hop": {hop1, 1}, "the second hop": {hop2, 1}} {
		if got := tt.tally.Notes(); len(got) != tt.want {
			t.Errorf("%s has the notes %+v, want %d", name, got, tt.want)
		}
	}
	for range 1000 {
		attempt.Tell(second, attempt.Note{Layer: "limit"})
	}
	if n := len(hop2.Notes()); n != 100 {
		t.Errorf("%d notes are kept, want 100", n)
	}
}

func TestHedge(t *testing.T) {
	if n := attempt.Hedge(t.Context()); n != 0 {
		t.Errorf("a request that is no copy has the number %d", n)
	}
	if n := attempt.Hedge(attempt.WithHedge(t.Context(), 2)); n != 2 {
		t.Errorf("the second copy has the number %d", n)
	}
}

func TestNotesInWords(t *testing.T) {
	n := attempt.Note{Layer: "limit", Event: "waited", Detail: "for a slot", Duration: 120 * time.Millisecond}
	if got, want := n.String(), "limit waited for a slot, 120ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNoteWithoutAStartIsAboutTheMomentItIsTold(t *testing.T) {
	ctx, tally := attempt.WithTally(t.Context())
	before := time.Now()
	attempt.Tell(ctx, attempt.Note{Layer: "limit", Event: "refused"})
	if start := tally.Notes()[0].Start; start.Before(before) || start.After(time.Now()) {
		t.Errorf("the note begins at %v", start)
	}
}
