package cache

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// named is a tag that is about a name.
func named(name string) tag { return newTag([]byte(name)) }

func names(names []string) []tag {
	var tags []tag
	for _, name := range names {
		tags = append(tags, named(name))
	}
	return tags
}

func entryFor(name string) *Entry {
	e := &Entry{status: 200, header: http.Header{}, received: t0, tags: []tag{named(name)}}
	e.index()
	return e
}

// The index of tags holds nothing of what has gone.
func TestMemoryIndexDoesNotGrow(t *testing.T) {
	m := NewMemory(MemoryOptions{MaxEntries: 5})
	ctx := context.Background()
	for i := range 1000 {
		m.update(ctx, fmt.Sprint(i%50), func(old *variants) *variants { return old.with(entryFor(fmt.Sprint("tag", i%70)), 100) })
		m.update(ctx, "same", func(old *variants) *variants { return (&variants{}).with(entryFor(fmt.Sprint("other", i)), 100) })
	}
	if n := len(m.shards[0].tags); n > 5 {
		t.Errorf("%d tags for 5 entries", n)
	}
	m.deleteTagged(ctx, []tag{named("other999")})
	if set := m.get([]byte("same")); set != nil {
		t.Error("a tag does not find its key")
	}
	m.Clear(ctx)
	if n := len(m.shards[0].tags); n != 0 {
		t.Errorf("%d tags after Clear", n)
	}
}

// An invalidation that comes while an update is deciding finds what that update stores.
func TestMemoryInvalidationSeesAnUpdateUnderWay(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	ctx := context.Background()
	done := make(chan struct{})
	m.update(ctx, "key", func(*variants) *variants {
		go func() {
			m.deleteTagged(ctx, []tag{named("tag")})
			close(done)
		}()
		for range 10_000 {
			runtime.Gosched()
		}
		return &variants{entries: []*Entry{entryFor("tag")}}
	})
	<-done
	if set := m.get([]byte("key")); set != nil {
		t.Error("an invalidated response has come back")
	}
}

// RFC 9111 §4: of several suitable responses the most recent one is used.
func TestTheMostRecentResponseIsUsed(t *testing.T) {
	old, _ := stored(200, "Cache-Control: max-age=600 | Vary: A | Date: "+date(-100), "A: 1", private)
	recent, _ := stored(200, "Cache-Control: max-age=600 | Vary: B | Date: "+date(-50), "B: 1", private)
	r := newRequest("GET", "A: 1 | B: 1")
	a := asks("")
	for _, entries := range [][]*Entry{{old, recent}, {recent, old}} {
		if got := (&variants{entries: entries}).choose(a, r, &secret{}); got != recent {
			t.Error("an older response is chosen")
		}
	}
}

// RFC 9110 §15.3.7.3: parts are joined only under one strong tag, and without a gap.
func TestJoiningParts(t *testing.T) {
	part := func(first, last int64, tag string) *Entry {
		e, _ := stored(206, "Cache-Control: max-age=60 | ETag: "+tag, "", private)
		e.part, e.body = &span{first: first, last: last, complete: 10}, content{bytes: []byte("0123456789")[first : last+1]}
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
			if s, joint, ok := joinParts(test.a, test.b, 10); ok {
				got = s.String() + " " + string(joint.body(s))
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// The clock that says longer counts: a machine that slept, or whose clock was set forward, has old responses.
func TestResidentTimeByBothClocks(t *testing.T) {
	now := time.Now()
	e := &Entry{received: now}
	if got := e.resident(now.Round(0).Add(time.Hour)); got != time.Hour {
		t.Errorf("wall clock an hour ahead: %v", got)
	}
	if got := e.resident(now.Add(-time.Hour)); got != 0 {
		t.Errorf("clock an hour back: %v", got)
	}
}

// An exchange learns of every invalidation since it began, and of one too many where the memory does not reach.
func TestHistoryOfInvalidations(t *testing.T) {
	h := history{}
	h.add(named("before"))
	began := h.now()
	tags := names([]string{"a", "b"})
	if h.since(began, append(tags, named("before"))) {
		t.Error("an earlier invalidation counts")
	}
	h.add(named("c"))
	if h.since(began, tags) {
		t.Error("another URI's invalidation counts")
	}
	h.add(named("b"))
	if !h.since(began, tags) {
		t.Error("an invalidation is missed")
	}
	later := h.now()
	for i := range len(h.tags) {
		h.add(named(fmt.Sprint(i)))
	}
	if h.since(later, names([]string{"x"})) {
		t.Error("what is remembered is not looked at")
	}
	h.add(named("y"))
	if !h.since(later, names([]string{"x"})) {
		t.Error("what is forgotten must count as invalidated")
	}
	now := h.now()
	h.addAll()
	if !h.since(now, nil) {
		t.Error("Clear must count for everything under way")
	}
}

// What an answer makes invalid itself does not keep it from being stored. What others make invalid meanwhile does, if it is about the same tag.
func TestHistoryKnowsAnAnswersOwnInvalidations(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after []string // notes of others before and after the answer's own
		want          bool
	}{
		"nobody else":                         {nil, nil, false},
		"others, before":                      {[]string{"x", "y"}, nil, false},
		"others, after":                       {nil, []string{"x"}, false},
		"others, around":                      {[]string{"x"}, []string{"y"}, false},
		"the same tag, before":                {[]string{"x", "a"}, nil, true},
		"the same tag, after":                 {nil, []string{"x", "a"}, true},
		"a tag of the entry that is not ours": {[]string{"group"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := history{}
			h.add(names([]string{"a", "b", "group"})...)
			began := h.now()
			h.add(names(tt.before)...)
			began = h.addAt(began, names([]string{"a", "b"})...)
			h.add(names(tt.after)...)
			if got := h.since(began, names([]string{"a", "group"})); got != tt.want {
				t.Errorf("invalidated since: %v, want %v", got, tt.want)
			}
		})
	}
}

// A lasting slot has as many more chances as it was used, and one that came back soon after it was evicted is lasting at once.
func TestWhichSlotIsTheVictim(t *testing.T) {
	var s shard
	s.init()
	put := func(key string, uses uint32) *slot {
		x := &slot{key: key, hash: uint64(key[0]) << 8, size: 100}
		x.uses.Store(uses)
		s.succeed(x, nil)
		return x
	}
	var order []string
	evict := func() { order = append(order, s.victim().key) }
	put("a", 1)
	put("b", 0)
	put("c", 2)
	put("d", 0)
	evict()     // a moves on, b goes
	evict()     // c moves on, d goes
	put("b", 0) // came back
	put("e", 0)
	evict() // e: what is recent has more than its share
	a, _ := s.lasting.Peek("a")
	a.use()
	evict() // a has another chance, c goes
	evict() // b
	evict() // a
	if diff := cmp.Diff([]string{"b", "d", "e", "c", "b", "a"}, order); diff != "" {
		t.Errorf("evicted (-want +got)\n%s", diff)
	}
	if s.victim() != nil || s.bytes() != 0 || s.len() != 0 {
		t.Errorf("%d bytes, %d slots are left", s.bytes(), s.len())
	}
}
