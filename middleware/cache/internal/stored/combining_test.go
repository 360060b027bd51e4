package stored

import (
	"math/rand/v2"
	"testing"
)

// partOf makes a stored part of a representation, with a strong tag.
func partOf(whole []byte, first, last, complete int64) *Entry {
	e := &Entry{Status: 206, Header: NewHeader(map[string][]string{"Etag": {`"a"`}}), Part: &ContentRange{first, last, complete}}
	e.Body.Bytes = make([]byte, last+1-first)
	copy(e.Body.Bytes, whole[first:])
	e.Derive()
	return e
}

// combined puts parts together one after the other, as a stored response does.
func combined(t *testing.T, limit int64, parts ...*Entry) *Entry {
	t.Helper()
	e := parts[0]
	for _, next := range parts[1:] {
		if next = next.combinedWith(e, limit); next.Part == nil {
			return next
		}
		e = next
	}
	return e
}

// Parts in any order, which others were combined with as well: each is what the representation has there, together no more than the limit,
// and what was handed out before stays as it was. An oracle of plain intervals says how far they reach.
func TestCombinedPartsHoldTheRepresentation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	whole := make([]byte, 200)
	for i := range whole {
		whole[i] = byte(i + 1)
	}
	type held struct {
		entry       *Entry
		first, last int64
	}
	for range 500 {
		limit, complete := 20+rng.Int64N(200), int64(len(whole))
		if rng.IntN(4) == 0 {
			complete = -1
		}
		var all []held
		for range 12 {
			first := rng.Int64N(190)
			last := min(first+rng.Int64N(60), 199)
			next := held{partOf(whole, first, last, complete), first, last}
			if len(all) > 0 {
				before := all[rng.IntN(len(all))]
				if f, l := min(before.first, first), max(before.last, last); first <= before.last+1 && before.first <= last+1 && l-f+1 <= limit {
					next.first, next.last = f, l
				}
				next.entry = next.entry.combinedWith(before.entry, limit)
			}
			if next.entry.Part != nil {
				all = append(all, next)
			}
			for i, h := range all {
				want := ContentRange{h.first, h.last, complete}
				if got := *h.entry.Part; got != want || string(h.entry.Body.Bytes) != string(whole[h.first:h.last+1]) {
					t.Fatalf("part %d of %d: %v, want %v, %v", i, len(all), got, want, h.entry.Body.Bytes)
				}
				if room := h.entry.Body.held(); room > max(limit, h.entry.Part.Size()) {
					t.Fatalf("part %d: %d bytes are held for %v, the limit is %d", i, room, want, limit)
				}
			}
		}
	}
}

// A representation that comes in small pieces, from its beginning or from its end, is not copied as a whole for each of them.
func TestCombinedPiecesAreSeldomCopied(t *testing.T) {
	whole := make([]byte, 1<<12)
	for name, piece := range map[string]func(n int64) (first, last int64){
		"forwards":    func(n int64) (int64, int64) { return n * 16, n*16 + 15 },
		"backwards":   func(n int64) (int64, int64) { return 1<<12 - (n+1)*16, 1<<12 - n*16 - 1 },
		"overlapping": func(n int64) (int64, int64) { return max(n*16-5, 0), n*16 + 15 },
	} {
		for _, complete := range []int64{1 << 12, -1} {
			arrays := make(map[*byte]bool)
			first, last := piece(0)
			e := partOf(whole, first, last, complete)
			for n := int64(1); n < 1<<12/16 && e.Part != nil; n++ {
				first, last = piece(n)
				e = partOf(whole, first, last, complete).combinedWith(e, 1<<13)
				arrays[&e.Body.buffer.array[0]] = true
				if e.Part != nil && e.Body.held() > 2*e.Part.Size()+16 {
					t.Fatalf("%s: %d bytes are held for %v", name, e.Body.held(), e.Part)
				}
			}
			if len(arrays) > 24 {
				t.Errorf("%s, of %d: %d arrays for 256 pieces", name, complete, len(arrays))
			}
		}
	}
}

// Room is made at both ends, half as much again at each, as far as the representation and the limit reach.
func TestRoomForMore(t *testing.T) {
	for _, test := range []struct {
		name       string
		part, more ContentRange
		limit      int64
		want       ContentRange
	}{
		{"in the middle", ContentRange{100, 139, 1000}, ContentRange{First: 140, Last: 159}, 1000, ContentRange{70, 189, 0}},
		{"before", ContentRange{100, 139, 1000}, ContentRange{First: 80, Last: 99}, 1000, ContentRange{50, 169, 0}},
		{"near the beginning", ContentRange{10, 49, 1000}, ContentRange{First: 50, Last: 69}, 1000, ContentRange{0, 99, 0}},
		{"near the end", ContentRange{900, 939, 1000}, ContentRange{First: 940, Last: 989}, 1000, ContentRange{855, 999, 0}},
		{"of an unknown whole", ContentRange{100, 139, -1}, ContentRange{First: 140, Last: 159}, 1000, ContentRange{70, 189, 0}},
		{"near the limit", ContentRange{100, 139, 1000}, ContentRange{First: 140, Last: 159}, 80, ContentRange{90, 169, 0}},
		{"at the limit", ContentRange{100, 139, 1000}, ContentRange{First: 140, Last: 159}, 60, ContentRange{100, 159, 0}},
	} {
		if got := roomFor(test.part, test.more, test.limit); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// RFC 9110 §15.3.7.3: what is not combined.
func TestPartsThatDoNotFitStayApart(t *testing.T) {
	whole := []byte("0123456789")
	chunked := partOf(whole, 3, 5, 10)
	chunked.Body = Content{Chunks: &Chunks{Size: 3}}
	complete := partOf(whole, 0, 9, 10)
	complete.Part, complete.Status = nil, 200
	next := partOf(whole, 3, 5, 10)
	for name, other := range map[string]*Entry{
		"another length of the whole": partOf(whole, 0, 2, 9),
		"an unknown length":           partOf(whole, 0, 2, -1),
		"a gap of one byte before":    partOf(whole, 0, 1, 10),
		"a gap of one byte behind":    partOf(whole, 7, 9, 10),
		"not in memory":               chunked,
		"no part":                     complete,
	} {
		for _, pair := range [][2]*Entry{{other, next}, {next, other}} {
			if _, _, ok := combineRanges(pair[0], pair[1], 100); ok {
				t.Errorf("%s: combined", name)
			}
		}
	}
	for name, other := range map[string]*Entry{"before": partOf(whole, 0, 2, 10), "behind": partOf(whole, 6, 9, 10)} {
		if _, _, ok := combineRanges(other, next, 100); !ok {
			t.Errorf("adjacent, %s: not combined", name)
		}
	}
	if _, _, ok := combineRanges(partOf(whole, 0, 2, 10), next, 6); !ok {
		t.Error("just within the limit")
	}
	if _, _, ok := combineRanges(partOf(whole, 0, 2, 10), next, 5); ok {
		t.Error("beyond the limit")
	}
	tail := combined(t, 100, partOf(whole, 5, 6, 10), partOf(whole, 7, 9, 10))
	if tail.Part == nil || tail.Part.Last != 9 {
		t.Errorf("the end of the whole without its beginning is a part: %+v", tail.Part)
	}
}
