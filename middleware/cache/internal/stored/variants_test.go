package stored

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// RFC 9110 §15.3.7.3: parts are combined only under one strong tag, and without a gap.
func TestCombiningParts(t *testing.T) {
	part := func(first, last int64, tag string) *Entry {
		e := &Entry{
			Status: 206, Header: NewHeader(http.Header{"Etag": {tag}}), Received: time.Unix(1_700_000_000, 0),
			Part: &ContentRange{First: first, Last: last, Complete: 10}, Body: Content{Bytes: []byte("0123456789")[first : last+1]},
		}
		e.Derive()
		return e
	}
	for _, test := range []struct {
		name string
		a, b *Entry
		want string
	}{
		{"adjacent", part(0, 3, `"a"`), part(4, 6, `"a"`), "bytes 0-6/10 0123456"},
		{"in the other order", part(4, 6, `"a"`), part(0, 3, `"a"`), "bytes 0-6/10 0123456"},
		{"overlapping", part(0, 5, `"a"`), part(2, 8, `"a"`), "bytes 0-8/10 012345678"},
		{"one within the other", part(0, 5, `"a"`), part(2, 3, `"a"`), "bytes 0-5/10 012345"},
		{"a gap", part(0, 3, `"a"`), part(5, 6, `"a"`), ""},
		{"another tag", part(0, 3, `"a"`), part(4, 6, `"b"`), ""},
		{"a weak tag", part(0, 3, `W/"a"`), part(4, 6, `W/"a"`), ""},
		{"no tag", part(0, 3, ``), part(4, 6, ``), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if s, buffer, ok := combineRanges(test.a, test.b, 10); ok {
				got = s.String() + " " + string(buffer.body(s))
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// newPart makes a stored part of "0123456789" with a strong tag, received at a second.
func newPart(first, last int64, second int) *Entry {
	e := &Entry{
		Status: 206, Line: NewStatusLine(206, "206 Partial Content", "", 0, 0), Header: NewHeader(http.Header{"Etag": {`"a"`}, "Content-Range": {"old"}, "Content-Length": {"old"}}),
		Received: time.Unix(1_700_000_000+int64(second), 0), Part: &ContentRange{First: first, Last: last, Complete: 10}, Body: Content{Bytes: []byte("0123456789")[first : last+1]},
	}
	e.Derive()
	return e
}

// An entry never changes once it is published: what is made of two parts has a header of its own.
func TestCombiningPartsLeavesTheirHeadersAlone(t *testing.T) {
	for name, last := range map[string]int64{"a larger part": 6, "the whole": 9} {
		old, part := newPart(0, 3, 0), newPart(4, last, 1)
		part.combinedWith(old, 10)
		for which, e := range map[string]*Entry{"old": old, "new": part} {
			if got := e.Header; got.Get("Content-Range") != "old" || got.Get("Content-Length") != "old" || e.Status != 206 {
				t.Errorf("%s: the %s part is changed: %d, %v", name, which, e.Status, got)
			}
		}
	}
}

// RFC 9111 §3.4: what becomes of the header when parts are combined, and of the whole when none is missing.
func TestVariantsCombineParts(t *testing.T) {
	s := (*Variants)(nil).With(newPart(0, 3, 0), 10).With(newPart(4, 6, 1), 10)
	e := s.Entries[0]
	if len(s.Entries) != 1 || e.Header.Get("Content-Range") != "bytes 0-6/10" || e.Header.Get("Content-Length") != "7" || string(e.Body.Bytes) != "0123456" || e.Status != 206 {
		t.Fatalf("%d entries, %d %v, %s", len(s.Entries), e.Status, e.Header, e.Body.Bytes)
	}
	whole := s.With(newPart(7, 9, 2), 10).Entries[0]
	if whole.Part != nil || whole.Status != 200 || whole.Line.Reason != "200 OK" || whole.Header.Get("Content-Range") != "" || whole.Header.Get("Content-Length") != "10" || string(whole.Body.Bytes) != "0123456789" {
		t.Fatalf("%d %s %v", whole.Status, whole.Line.Reason, whole.Header)
	}
	if after := (&Variants{Entries: []*Entry{whole}}).With(newPart(2, 3, 3), 10); after.Entries[0] != whole {
		t.Error("a part replaces the whole that it is a part of")
	}
	if apart := (*Variants)(nil).With(newPart(0, 1, 0), 10).With(newPart(5, 6, 1), 10); len(apart.Entries) != 1 || apart.Entries[0].First() != 5 {
		t.Error("of two parts with a gap the later one stays")
	}
	if small := (*Variants)(nil).With(newPart(0, 3, 0), 6).With(newPart(4, 6, 1), 6); string(small.Entries[0].Body.Bytes) != "456" {
		t.Errorf("beyond the limit: %s", small.Entries[0].Body.Bytes)
	}
}

// variantOf makes a variant by one field, that was used at a time.
func variantOf(value string, used int64) *Entry {
	e := &Entry{Selectors: []Selector{{Name: "A", Present: true, Value: value}}, Status: 200, Header: NewHeader(http.Header{}), Received: time.Unix(1_700_000_000, 0)}
	e.Derive()
	e.Used.Store(used)
	return e
}

func TestVariantsReplaceAndRemove(t *testing.T) {
	a, b, again := variantOf("a", 1), variantOf("b", 2), variantOf("a", 3)
	s := (*Variants)(nil).With(a, 0).With(b, 0)
	if replaced := s.With(again, 0); len(replaced.Entries) != 2 || replaced.Entries[0] != b || replaced.Entries[1] != again {
		t.Errorf("the same variant is not replaced: %v", replaced.Entries)
	}
	is := func(wanted *Entry) func(*Entry) bool { return func(e *Entry) bool { return e == wanted } }
	if left := s.Without(is(a)); len(left.Entries) != 1 || left.Entries[0] != b || len(s.Entries) != 2 {
		t.Error("without a")
	}
	if s.Without(is(again)) != s || s.Without(func(*Entry) bool { return true }) != nil || (*Variants)(nil).Without(is(a)) != nil {
		t.Error("without nothing, everything, and of nothing")
	}
	if left := s.WithoutBeforeLast(func(*Entry) bool { return true }); len(left.Entries) != 1 || left.Entries[0] != b {
		t.Error("the last one stays")
	}
	if s.Size() != a.Size+b.Size || (*Variants)(nil).Size() != 0 || len(s.All()) != 2 || (*Variants)(nil).All() != nil {
		t.Error("size")
	}
	next, n := s.Changed([]Change{{a, nil}, {b, again}})
	if n != 2 || len(next.Entries) != 1 || next.Entries[0] != again {
		t.Errorf("changed: %v, %d", next, n)
	}
	if same, n := s.Changed(nil); same != s || n != 0 {
		t.Error("no change")
	}
	if none, n := s.Changed([]Change{{a, nil}, {b, nil}}); none != nil || n != 2 {
		t.Error("all removed")
	}
	if s.Replaced(1, again).Entries[1] != again || s.Exchanged(a, again).Entries[0] != again || s.Entries[0] != a || s.Entries[1] != b {
		t.Error("replaced and exchanged are copies")
	}
	if LeastUsed([]*Entry{b, a, again}) != a {
		t.Error("a was used least recently")
	}
}

func TestVariantsAtTheirLimitLoseTheLeastRecentlyUsed(t *testing.T) {
	var s *Variants
	for i := range MaxVariants {
		s = s.With(variantOf(string(rune('a'+i)), int64(100-i%50)), 0)
	}
	first := LeastUsed(s.Entries)
	more := s.With(variantOf("more", 1000), 0)
	if len(s.Entries) != MaxVariants || len(more.Entries) != MaxVariants {
		t.Fatalf("%d, then %d variants", len(s.Entries), len(more.Entries))
	}
	for _, e := range more.Entries {
		if e == first {
			t.Error("the least recently used one is still there")
		}
	}
}

func TestVariantsOvertook(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(1_700_000_000+int64(second), 0) }
	old := variantOf("a", 0)
	old.Requested = at(5)
	s := &Variants{Entries: []*Entry{old}}
	for _, test := range []struct {
		name      string
		requested int
		value     string
		now       int
		part      bool
		want      bool
	}{
		{"requested before", 4, "a", 9, false, true},
		{"requested at the same time", 5, "a", 9, false, false},
		{"requested later", 6, "a", 9, false, false},
		{"another variant", 4, "b", 9, false, false},
		{"requested in the future, by a clock that was set back", 3, "a", 4, false, false},
		{"requested just now", 4, "a", 5, false, true},
		{"what is stored is a part", 4, "a", 9, true, false},
	} {
		e := variantOf(test.value, 0)
		e.Requested = at(test.requested)
		old.Part = nil
		if test.part {
			old.Part = &ContentRange{}
		}
		if got := s.Overtook(e, at(test.now)); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if (*Variants)(nil).Overtook(old, at(9)) {
		t.Error("nothing overtakes")
	}
}

func TestVariantsHaveChunks(t *testing.T) {
	e := variantOf("a", 0).WithChunks(&Chunks{ID: [16]byte{1}})
	s := &Variants{Entries: []*Entry{variantOf("b", 0), e}}
	if !s.HasChunks([16]byte{1}) || s.HasChunks([16]byte{2}) || (*Variants)(nil).HasChunks([16]byte{1}) {
		t.Error("a body is found by its identifier")
	}
}

// RFC 9111 §3.4: when a part leaves what is stored as it is, and when it takes its place.
func TestVariantsWithAPart(t *testing.T) {
	whole := func(status int, tag string) *Entry {
		e := &Entry{Status: status, Header: NewHeader(http.Header{"Etag": {tag}}), Body: Content{Bytes: []byte("0123456789")}}
		e.Derive()
		return e
	}
	other := newPart(0, 3, 0)
	other.Selectors = []Selector{{Name: "A", Present: true, Value: "x"}}
	for name, test := range map[string]struct {
		stored *Entry
		next   *Entry
		kept   bool
		body   string // of the last entry
	}{
		"a part of the whole":                  {whole(200, `"a"`), newPart(2, 3, 0), true, "0123456789"},
		"a part of another version":            {whole(200, `"b"`), newPart(2, 3, 0), false, "23"},
		"a part of a weak version":             {whole(200, `W/"a"`), newPart(2, 3, 0), false, "23"},
		"a whole that is no 200":               {whole(203, `"a"`), newPart(2, 3, 0), false, "23"},
		"a whole in place of a whole":          {whole(200, `"a"`), whole(200, `"a"`), false, "0123456789"},
		"a whole in place of a part":           {newPart(2, 3, 0), whole(200, `"a"`), false, "0123456789"},
		"a part of another variant":            {other, newPart(4, 6, 0), false, "456"},
		"the end without the beginning":        {newPart(5, 6, 0), newPart(7, 9, 0), false, "56789"},
		"the beginning, without the last byte": {newPart(0, 6, 0), newPart(7, 8, 0), false, "012345678"},
	} {
		s := (*Variants)(nil).With(test.stored, 10)
		next := s.With(test.next, 10)
		last := next.Entries[len(next.Entries)-1]
		if (next == s) != test.kept || string(last.Body.Bytes) != test.body {
			t.Errorf("%s: kept: %t, %q", name, next == s, last.Body.Bytes)
		}
		if (last.Part == nil) != (len(test.body) == 10) {
			t.Errorf("%s: %+v", name, last.Part)
		}
	}
	part := newPart(0, 3, 0)
	if combined := (*Variants)(nil).With(part, 10).With(newPart(4, 6, 1), 10).Entries[0]; part.Header.Get("Content-Range") != "old" || combined.Header.Get("Content-Length") != "7" {
		t.Errorf("the header of a part that others still have was changed: %v", part.Header)
	}
}

// All tags of all variants, each once; of nothing there are none.
func TestVariantsTags(t *testing.T) {
	a, b := variantOf("a", 0), variantOf("b", 0)
	a.Tags, b.Tags = []invalidation.Tag{{1}, {2}}, []invalidation.Tag{{2}, {3}}
	if diff := cmp.Diff([]invalidation.Tag{{1}, {2}, {3}}, (&Variants{Entries: []*Entry{a, b}}).Tags()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if (*Variants)(nil).Tags() != nil {
		t.Error("of nothing")
	}
}

// At the limit each further variant costs one, and a variant that is there already costs none.
func TestVariantsBelowTheirLimitLoseNone(t *testing.T) {
	var s *Variants
	for i := range MaxVariants - 1 {
		s = s.With(variantOf(fmt.Sprint(i), int64(i)), 0)
	}
	if s = s.With(variantOf("last", 100), 0); len(s.Entries) != MaxVariants || s.Entries[0].Used.Load() != 0 {
		t.Errorf("%d variants", len(s.Entries))
	}
	if s = s.With(variantOf("last", 101), 0); len(s.Entries) != MaxVariants || s.Entries[0].Used.Load() != 0 {
		t.Errorf("%d variants after one has been replaced", len(s.Entries))
	}
	dropped := 0
	kept := s.WithoutBeforeLast(func(*Entry) bool { dropped++; return dropped%2 == 0 })
	if len(kept.Entries) != MaxVariants-(MaxVariants-1)/2 || kept.Entries[0] != s.Entries[0] {
		t.Errorf("%d are left", len(kept.Entries))
	}
	ahead := variantOf("ahead", 0)
	ahead.Received = time.Unix(1_700_000_000, 0).Add(clockBack + 2)
	mixed := &Variants{Entries: []*Entry{variantOf("now", 0), ahead}}
	if !mixed.FromFuture(time.Unix(1_700_000_000, 1)) || mixed.FromFuture(time.Unix(1_700_000_000, 2)) {
		t.Error("one entry of the future is enough")
	}
}
