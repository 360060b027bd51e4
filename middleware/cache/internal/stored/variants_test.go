package stored

import (
	"net/http"
	"testing"
	"time"
)

// RFC 9110 §15.3.7.3: parts are joined only under one strong tag, and without a gap.
func TestCombiningParts(t *testing.T) {
	part := func(first, last int64, tag string) *Entry {
		e := &Entry{
			Status: 206, Header: http.Header{"Etag": {tag}}, Received: time.Unix(1_700_000_000, 0),
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
			if s, joint, ok := joinRanges(test.a, test.b, 10); ok {
				got = s.String() + " " + string(joint.body(s))
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
		Status: 206, Reason: "206 Partial Content", Header: http.Header{"Etag": {`"a"`}, "Content-Range": {"old"}, "Content-Length": {"old"}},
		Received: time.Unix(1_700_000_000+int64(second), 0), Part: &ContentRange{First: first, Last: last, Complete: 10}, Body: Content{Bytes: []byte("0123456789")[first : last+1]},
	}
	e.Derive()
	return e
}

// RFC 9111 §3.4: what becomes of the header when parts are combined, and of the whole when none is missing.
func TestVariantsCombineParts(t *testing.T) {
	s := (*Variants)(nil).With(newPart(0, 3, 0), 10).With(newPart(4, 6, 1), 10)
	e := s.Entries[0]
	if len(s.Entries) != 1 || e.Header.Get("Content-Range") != "bytes 0-6/10" || e.Header.Get("Content-Length") != "7" || string(e.Body.Bytes) != "0123456" || e.Status != 206 {
		t.Fatalf("%d entries, %d %v, %s", len(s.Entries), e.Status, e.Header, e.Body.Bytes)
	}
	whole := s.With(newPart(7, 9, 2), 10).Entries[0]
	if whole.Part != nil || whole.Status != 200 || whole.Reason != "200 OK" || whole.Header.Get("Content-Range") != "" || whole.Header.Get("Content-Length") != "10" || string(whole.Body.Bytes) != "0123456789" {
		t.Fatalf("%d %s %v", whole.Status, whole.Reason, whole.Header)
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
	e := &Entry{Selectors: []Selector{{Name: "A", Present: true, Value: value}}, Status: 200, Header: http.Header{}, Received: time.Unix(1_700_000_000, 0)}
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
