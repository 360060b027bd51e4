package stored

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestPacing(t *testing.T) {
	var p []byte
	for _, piece := range []struct {
		size  int64
		after time.Duration
	}{{1, 0}, {300, 1500 * time.Millisecond}, {math.MaxInt32, 2 * time.Hour}} {
		p = AppendPiece(p, piece.size, piece.after)
	}
	pacing := Pacing(p)
	if took := pacing.Duration(); took != 2*time.Hour+1500*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if !pacing.Paces(301+math.MaxInt32) || pacing.Paces(300+math.MaxInt32) || pacing.Paces(302+math.MaxInt32) {
		t.Error("the sum of the pieces is the size of the body")
	}
	if size, after, rest, ok := pacing.Next(); size != 1 || after != 0 || !ok || len(rest) != len(pacing)-2 {
		t.Errorf("%d bytes after %v, %t", size, after, ok)
	}
	if _, _, _, ok := Pacing("").Next(); ok || Pacing("").Duration() != 0 || Pacing("").Paces(0) {
		t.Error("an empty pacing has a piece")
	}
}

// The bound of pieces holds for what a store returns.
func TestPacingBounds(t *testing.T) {
	piece := string(AppendPiece(nil, 1, time.Millisecond))
	if !Pacing(strings.Repeat(piece, MaxPieces)).Paces(MaxPieces) || Pacing(strings.Repeat(piece, MaxPieces+1)).Paces(MaxPieces+1) {
		t.Error("as many pieces as may be")
	}
	e := &Entry{}
	e.Derive()
	without := e.Size
	e.Pacing = Pacing(piece)
	if e.Derive(); e.Size != without+int64(len(piece)) || e.Clone().Pacing != e.Pacing {
		t.Errorf("the pacing is charged with %d bytes", e.Size-without)
	}
}
