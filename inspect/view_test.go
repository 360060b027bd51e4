package inspect

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/cachestatus"
)

func TestOutcomeIsOneWord(t *testing.T) {
	failed := errors.New("failed")
	for want, s := range map[string]seen{
		"pending":     {},
		"direct":      {answered: true},
		"hit":         {answered: true, cached: true, cache: cachestatus.Status{Hit: true}},
		"stale":       {answered: true, cached: true, cache: cachestatus.Status{Hit: true, HasTTL: true, TTL: -1}},
		"revalidated": {answered: true, cached: true, cache: cachestatus.Status{Fwd: "stale", FwdStatus: 304}},
		"refreshed":   {answered: true, cached: true, cache: cachestatus.Status{Fwd: "stale", FwdStatus: 200}},
		"miss":        {answered: true, cached: true, cache: cachestatus.Status{Fwd: "uri-miss"}},
		"collapsed":   {answered: true, cached: true, cache: cachestatus.Status{Fwd: "uri-miss", Collapsed: true}},
		"bypassed":    {answered: true, cached: true, cache: cachestatus.Status{Fwd: "bypass"}},
		"refused":     {answered: true, cached: true},
		"error":       {answered: true, cached: true, cache: cachestatus.Status{Hit: true}, err: failed},
	} {
		if got := outcome(s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A hop that passed the layer finds its record by the time, though conditional layers hid others.
func TestHopsFindTheirRecords(t *testing.T) {
	start := time.Now()
	at := func(ms ...int) (hops []hop) {
		for _, n := range ms {
			hops = append(hops, hop{start: start.Add(time.Duration(n) * time.Millisecond)})
		}
		return hops
	}
	records := func(ms ...int) ply.CallInfo {
		i := ply.CallInfo{Start: start}
		for _, n := range ms {
			i.Hops = append(i.Hops, ply.CallHop{Header: ply.CallSpan{Start: time.Duration(n) * time.Millisecond}})
		}
		return i
	}
	for name, tt := range map[string]struct {
		hops []hop
		info ply.CallInfo
		want []int
	}{
		"no record":               {at(0), records(), []int{-1}},
		"each has its own":        {at(0, 10, 20), records(0, 10, 20), []int{0, 1, 2}},
		"all at one moment":       {at(0, 0, 0), records(0, 0, 0), []int{0, 1, 2}},
		"a hidden one in between": {at(0, 20), records(0, 10, 21), []int{0, 2}},
		"the first is hidden":     {at(12), records(0, 10), []int{1}},
		"one was omitted":         {at(0, 10), records(0), []int{0, -1}},
	} {
		if diff := cmp.Diff(tt.want, matched(tt.hops, tt.info)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestCopyGrowsOnlyByWhatIsNew(t *testing.T) {
	var c copyOf
	for _, piece := range []struct {
		text string
		at   int64
		want string
		size int64
	}{
		{"hel", 0, "hel", 3},
		{"he", 0, "hel", 3},        // sent again
		{"llo w", 2, "hello w", 7}, // and further
		{"x", 9, "hello w", 10},    // a gap: what lies between has not passed
		{"orld, and more", 7, "hello worl", 21},
		{"!", 21, "hello worl", 22},
	} {
		c.keep([]byte(piece.text), piece.at, 10)
		if string(c.data) != piece.want || c.size != piece.size {
			t.Errorf("after %q at %d: %q of %d, want %q of %d", piece.text, piece.at, c.data, c.size, piece.want, piece.size)
		}
	}
}

func TestCutNeverSplitsACharacter(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc": "abc", "ab\xc3": "ab", "ab\xe2\x82": "ab", "ab\xf0\x9f\x98": "ab", "abä": "abä", "\xff\xff\xff\xff": "\xff\xff\xff\xff"} {
		if got := string(whole([]byte(text), true)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := cleanText("aäää", 4); got != "aä…" {
		t.Errorf("got %q", got)
	}
	if got := cleanText("a\xff", 10); got != "a\uFFFD" {
		t.Errorf("got %q", got)
	}
}

// A page that looks takes nothing from the first hop of a second, which looks at the cache.
func TestLookAtASecondDoesNotBeginIt(t *testing.T) {
	s := newSeries(1, 3)
	now := time.Unix(1000, 0)
	if got := s.peek(now); got != (bucket{}) {
		t.Errorf("nothing has ended, and there is %v", got)
	}
	if !s.add(now, "hit", 1) {
		t.Error("the first hop of a second is not its first")
	}
	if got := s.peek(now); got.Hits != 1 {
		t.Errorf("%d hits, want 1", got.Hits)
	}
	if got := s.peek(now.Add(3 * time.Second)); got != (bucket{}) { // the same place of the ring
		t.Errorf("nothing has ended in a later second, and there is %v", got)
	}
}

// Between taking calls out of the list and dropping them, another goroutine may ask what is too much: the same bytes must not cost more calls.
func TestSurplusIsTakenOnce(t *testing.T) {
	in, err := New(Options{MaxBytes: 10})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c := &call{in: in}
		c.charge(4)
		in.calls = append(in.calls, c)
	}
	dropped := in.surplus()
	if again := in.surplus(); len(dropped) != 1 || again != nil {
		t.Errorf("%d calls were taken, then %d, want 1 and none", len(dropped), len(again))
	}
	drop(dropped)
	if in.bytes.Load() != 8 || in.leaving.Load() != 0 {
		t.Errorf("%d bytes are charged, and %d leaving, want 8 and none", in.bytes.Load(), in.leaving.Load())
	}
}

func TestSeriesForgetsWhatFellOutOfItsRing(t *testing.T) {
	s := newSeries(1, 3)
	start := time.Unix(1000, 0)
	for i, n := range []int{1, 0, 2, 1} {
		for range n {
			s.add(start.Add(time.Duration(i)*time.Second), "hit", 1)
		}
	}
	s.add(start, "hit", 1) // too late for its second
	var got [][2]int64
	for _, b := range s.since(start.Add(3 * time.Second)) {
		got = append(got, [2]int64{b.T / 1000, b.Hits})
	}
	if diff := cmp.Diff([][2]int64{{1002, 2}, {1003, 1}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s.totals.Hits != 5 {
		t.Errorf("%d hits in all, want 5", s.totals.Hits)
	}
	if rest := s.since(start.Add(time.Hour)); rest != nil {
		t.Errorf("an hour later there is %v", rest)
	}
}
