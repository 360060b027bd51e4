package stored

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"
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
	e.Complete(Content{}, "", Pacing(piece))
	if e.Size != without+int64(unsafe.Sizeof(Ending{}))+int64(len(piece)) || e.Clone().Pacing() != Pacing(piece) {
		t.Errorf("the pacing is charged with %d bytes", e.Size-without)
	}
}

// What a store returns may be anything: only pieces in their shortest form, each within the longest time, are a pacing.
func TestPacingRefusesMalformedPieces(t *testing.T) {
	piece := func(size, ms uint64) Pacing {
		return Pacing(binary.AppendUvarint(binary.AppendUvarint(nil, size), ms))
	}
	longest := uint64(Longest / time.Millisecond)
	for name, tt := range map[string]struct {
		p     Pacing
		size  int64
		after time.Duration
		ok    bool
	}{
		"empty":                          {"", 0, 0, false},
		"a size without a time":          {"\x05", 0, 0, false},
		"a size that does not end":       {"\x80", 0, 0, false},
		"a time that does not end":       {"\x05\x80", 0, 0, false},
		"the smallest":                   {"\x00\x00", 0, 0, true},
		"one byte each":                  {"\x7f\x7f", 127, 127 * time.Millisecond, true},
		"two bytes each":                 {"\x80\x01\x80\x01", 128, 128 * time.Millisecond, true},
		"a longer form of a size":        {"\x85\x00\x01", 0, 0, false},
		"a longer form of a time":        {"\x05\x81\x00", 0, 0, false},
		"the largest size":               {piece(math.MaxInt64, 1), math.MaxInt64, time.Millisecond, true},
		"a size that is too large":       {piece(math.MaxInt64+1, 1), 0, 0, false},
		"the largest number as a size":   {piece(math.MaxUint64, 1), 0, 0, false},
		"a size of more than 64 bits":    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01", 0, 0, false},
		"a size of eleven bytes":         {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01", 0, 0, false},
		"the longest time":               {piece(1, longest), 1, time.Duration(longest) * time.Millisecond, true},
		"a time that is too long":        {piece(1, longest+1), 0, 0, false},
		"a time that would be negative":  {piece(1, math.MaxInt64+1), 0, 0, false},
		"the largest number as a time":   {piece(1, math.MaxUint64), 0, 0, false},
		"followed by what is no pacing":  {"\x05\x01\x80", 5, time.Millisecond, true},
		"a time of more than 64 bits":    {"\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 0, 0, false},
		"the largest 64-bit time, wrong": {"\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0, 0, false},
	} {
		size, after, rest, ok := tt.p.Next()
		if size != tt.size || after != tt.after || ok != tt.ok || !ok && rest != "" {
			t.Errorf("%s: %d bytes after %v, %t, rest %q; want %d after %v, %t", name, size, after, ok, rest, tt.size, tt.after, tt.ok)
		}
	}
}

func TestPacingIsOfABodyOfItsLength(t *testing.T) {
	var p []byte
	for _, size := range []int64{3, 4} {
		p = AppendPiece(p, size, 1500*time.Microsecond)
	}
	two := Pacing(p)
	long := AppendPiece(AppendPiece(nil, 1, Longest), 1, time.Millisecond)
	for name, tt := range map[string]struct {
		p    Pacing
		size int64
		want bool
	}{
		"of its length":        {two, 7, true},
		"a byte less":          {two, 6, false},
		"a byte more":          {two, 8, false},
		"none":                 {"", 0, false},
		"an empty piece":       {two + "\x00\x01", 7, false},
		"with something after": {two + "\x80", 7, false},
		"together too long":    {Pacing(long), 2, false},
	} {
		if got := tt.p.Paces(tt.size); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
	if got := two.Duration(); got != 2*time.Millisecond {
		t.Errorf("two pieces took %v, want 2 ms: parts of a millisecond are cut", got)
	}
}
