package durable

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

var errBroken = errors.New("broken")

// scripted is a store that fails as a test says: with the next error of the list for an operation on a key, and works where that is nil or used up.
type scripted struct {
	*storetest.Map
	errs  map[string][]error // by "get", "put" or "delete", and the key
	calls map[string]int
}

func newScripted() *scripted {
	return &scripted{storetest.NewMap(1 << 20), map[string][]error{}, map[string]int{}}
}

func (s *scripted) next(op, key string) error {
	s.calls[op+key]++
	queue := s.errs[op+key]
	if len(queue) == 0 {
		return nil
	}
	s.errs[op+key] = queue[1:]
	return queue[0]
}

func (s *scripted) Get(ctx context.Context, key string) (store.Record, error) {
	if err := s.next("get", key); err != nil {
		return store.Record{}, err
	}
	return s.Map.Get(ctx, key)
}

func (s *scripted) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = s.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (s *scripted) Put(ctx context.Context, key string, r store.Record) error {
	if err := s.next("put", key); err != nil {
		return err
	}
	return s.Map.Put(ctx, key, r)
}

func (s *scripted) Delete(ctx context.Context, key, version string) error {
	if err := s.next("delete", key); err != nil {
		return err
	}
	return s.Map.Delete(ctx, key, version)
}

func newTag(name string) invalidation.Tag { return invalidation.NewTag([]byte(name)) }

// generationOf reads the generation of a tag from a store.
func generationOf(t *testing.T, s store.Store, tag invalidation.Tag) GenerationRecord {
	t.Helper()
	r, err := s.Get(t.Context(), generationKey(tag))
	require.NoError(t, err)
	return readGeneration(r, tag)
}

func repeated(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// An invalidation of several tags: a failure of one leaves the others invalidated, and only that one is to be tried again.
func TestGenerationsRenewEachTag(t *testing.T) {
	for _, test := range []struct {
		name string
		errs map[string][]error // for the second of three tags
		left bool
		want error
	}{
		{name: "no failure"},
		{name: "a conflict, then a read that fails", errs: map[string][]error{"put": {store.ErrConflict}, "get": {nil, errBroken}}, left: true, want: errBroken},
		{name: "a conflict, then success", errs: map[string][]error{"put": {store.ErrConflict}}},
		{name: "a write that fails, and the removal works", errs: map[string][]error{"put": {errBroken}}},
		{name: "a write and the removal fail", errs: map[string][]error{"put": {errBroken}, "delete": {errBroken}}, left: true, want: errBroken},
		{name: "conflicts without end", errs: map[string][]error{"put": repeated(store.ErrConflict, 100)}, left: true, want: ErrContended},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScripted()
				d := New(s, time.Second, time.Hour, false)
				tags := []invalidation.Tag{newTag("a"), newTag("b"), newTag("c")}
				left, err := d.renew(t.Context(), d.Client, tags)
				require.NoError(t, err)
				require.Empty(t, left)
				before := [3]GenerationRecord{}
				for i, tag := range tags {
					before[i] = generationOf(t, s.Map, tag)
				}
				clear(s.calls)
				for op, errs := range test.errs {
					s.errs[op+generationKey(tags[1])] = errs
				}
				left, err = d.renew(t.Context(), d.Client, tags)
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				var want []invalidation.Tag
				if test.left {
					want = tags[1:2]
				}
				if diff := cmp.Diff(want, left); diff != "" {
					t.Errorf("left (-want +got)\n%s", diff)
				}
				for i, tag := range tags {
					now := generationOf(t, s.Map, tag)
					if renewed := now.Generation != before[i].Generation; renewed == (test.left && i == 1) {
						t.Errorf("tag %d has a new generation: %v", i, renewed)
					}
				}
				if n := s.calls["put"+generationKey(tags[1])]; n > MaxAttempts {
					t.Errorf("%d attempts", n)
				}
			})
		})
	}
}

// A store that cannot be read renews nothing.
func TestGenerationsRenewNothingWithoutARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tag := newScripted(), newTag("a")
		d := New(s, time.Second, time.Hour, false)
		s.errs["get"+generationKey(tag)] = []error{errBroken}
		left, err := d.renew(t.Context(), d.Client, []invalidation.Tag{tag})
		if !errors.Is(err, errBroken) || len(left) != 1 || s.calls["put"+generationKey(tag)] != 0 {
			t.Errorf("%v, %v left, calls %v", err, left, s.calls)
		}
	})
}

// Under which generation a response is stored, given what was seen when it was requested, and what is there now.
func TestGenerationsOfAResponse(t *testing.T) {
	const tagName = "a"
	tag := newTag(tagName)
	for _, test := range []struct {
		name     string
		known    bool                                                // the tag was looked for when the response was requested
		before   bool                                                // a generation was there then
		now      func(d *Store, m GenerationRecord) GenerationRecord // what is there when it is stored, given what was
		ago      time.Duration                                       // since the request
		want     error
		adopted  bool // the generation that is there is used
		replaced bool // it is written again, to be kept longer
	}{
		{name: "none, a new one is made", known: true},
		{name: "none, and the tag was not looked for", known: false},
		{name: "none, but one may have come and gone", known: true, ago: time.Hour, want: ErrOvertaken},
		{name: "the same as before", known: true, before: true, now: same, adopted: true},
		{name: "one that expires too soon", known: true, before: true, now: short, adopted: true, replaced: true},
		{name: "another than before", known: true, before: true, now: other(0), want: ErrOvertaken},
		{name: "gone since then", known: true, before: true, want: ErrOvertaken},
		{name: "an invalidation where none was", known: true, now: other(0), want: ErrOvertaken},
		{name: "another response's where none was", known: true, now: unchanged, adopted: true},
		{name: "not looked for, invalidated since", known: false, now: other(0), want: ErrOvertaken},
		{name: "not looked for, invalidated just before, by a clock that may be wrong", known: false, now: other(-clockSkew + time.Second), want: ErrOvertaken},
		{name: "not looked for, invalidated well before", known: false, now: other(-clockSkew - time.Second), adopted: true},
		{name: "not looked for, invalidated by this process, whose own history knows", known: false, now: own, adopted: true},
		{name: "a later version's", known: true, now: newer, want: ErrNewer},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScripted()
				d := New(s, time.Second, time.Hour, false)
				requested := time.Now().Add(-test.ago)
				until := time.Now().Add(time.Minute)
				var before, m GenerationRecord
				if test.before {
					before = GenerationRecord{Generation: stored.Generation{1}, changed: requested.Add(-time.Hour), until: time.Now().Add(2 * time.Hour)}
				}
				if test.now != nil {
					m = test.now(d, before)
				}
				adopted, err := d.adoptGeneration(t.Context(), &adoption{tag: tag, before: before, known: test.known, requested: requested, until: until}, m)
				if !errors.Is(err, test.want) {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				if err != nil {
					return
				}
				got := adopted.Generation
				if got == (stored.Generation{}) || test.adopted != (got == m.Generation) {
					t.Errorf("generation %x, there is %x", got, m.Generation)
				}
				kept := generationOf(t, s.Map, tag)
				if written := !test.adopted || test.replaced; written != (kept.Generation == got) || written && kept.until.Before(until) {
					t.Errorf("the store has %+v", kept)
				}
			})
		})
	}
}

func same(_ *Store, m GenerationRecord) GenerationRecord { return m }

func short(_ *Store, m GenerationRecord) GenerationRecord {
	m.until = time.Now().Add(time.Second)
	return m
}

// other is a generation that an invalidation of another process has set, this long after the request.
func other(after time.Duration) func(*Store, GenerationRecord) GenerationRecord {
	return func(*Store, GenerationRecord) GenerationRecord {
		return GenerationRecord{Generation: stored.Generation{2}, changed: time.Now().Add(after), until: time.Now().Add(time.Hour)}
	}
}

// unchanged is a generation that a stored response has set, not an invalidation.
func unchanged(*Store, GenerationRecord) GenerationRecord {
	return GenerationRecord{Generation: stored.Generation{2}, until: time.Now().Add(time.Hour)}
}

func own(d *Store, _ GenerationRecord) GenerationRecord {
	return GenerationRecord{Generation: d.NewGeneration(), changed: time.Now(), until: time.Now().Add(time.Hour)}
}

func newer(*Store, GenerationRecord) GenerationRecord { return GenerationRecord{newer: true} }

// A store that fails while a response's generations are looked up or written: the response is not stored, and a failed write is not tried again.
func TestGenerationsOfAResponseUnderFaults(t *testing.T) {
	tag := newTag("a")
	for _, test := range []struct {
		name string
		errs map[string][]error
		want error
		puts int
	}{
		{"the read fails", map[string][]error{"get": {errBroken}}, errBroken, 0},
		{"the write fails", map[string][]error{"put": {errBroken}}, errBroken, 1},
		{"a conflict, then the read fails", map[string][]error{"put": {store.ErrConflict}, "get": {nil, errBroken}}, errBroken, 1},
		{"a conflict, then success", map[string][]error{"put": {store.ErrConflict}}, nil, 2},
		{"conflicts without end", map[string][]error{"put": repeated(store.ErrConflict, 100)}, ErrContended, MaxAttempts},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScripted()
				d := New(s, time.Second, time.Hour, false)
				for op, errs := range test.errs {
					s.errs[op+generationKey(tag)] = errs
				}
				e := &stored.Entry{Tags: []invalidation.Tag{tag}, Requested: time.Now()}
				var generations []stored.Generation
				now := &Snapshot{}
				err := d.readGenerations(t.Context(), now, e.Tags)
				if err == nil {
					generations, err = d.generationsFor(t.Context(), e, nil, now, time.Now().Add(time.Minute))
				}
				if !errors.Is(err, test.want) || (err == nil) != (len(generations) == 1) {
					t.Errorf("%v, %v, want %v", generations, err, test.want)
				}
				if n := s.calls["put"+generationKey(tag)]; n != test.puts {
					t.Errorf("%d writes, want %d", n, test.puts)
				}
			})
		})
	}
}

// A generation that was put a moment ago is not extended: its version is not known, and if it is gone meanwhile, it has been ended and must not come back.
func TestExtendingGenerationsRevivesNone(t *testing.T) {
	s := newScripted()
	d := New(s, time.Second, time.Hour, false)
	tag, generation := newTag("a"), stored.Generation{1}
	e := &stored.Entry{Tags: []invalidation.Tag{tag}, Record: &stored.Record{Generations: []stored.Generation{generation}}, Rules: stored.Rules{Lifetime: 24 * time.Hour}}
	seen := &Snapshot{}
	seen.Add(tag, GenerationRecord{Generation: generation, until: time.Now().Add(time.Minute)})
	d.extendGenerations(t.Context(), &stored.Variants{Entries: []*stored.Entry{e}}, seen, time.Now())
	if n := s.calls["put"+generationKey(tag)]; n != 0 {
		t.Errorf("%d writes of a generation that is absent", n)
	}
}

// A tag whose generation was not looked for says nothing about an invalidation; one that had none, and has one now, does.
func TestGenerationsSnapshotsCompared(t *testing.T) {
	known, unknown := newTag("a"), newTag("b")
	invalidated := GenerationRecord{Generation: stored.Generation{2}, changed: time.Unix(1, 0)}
	before, later := &Snapshot{}, &Snapshot{}
	before.Add(known, GenerationRecord{})
	later.Add(known, invalidated)
	later.Add(unknown, invalidated)
	for _, test := range []struct {
		name string
		tags []invalidation.Tag
		want bool
	}{
		{"none before, invalidated since", []invalidation.Tag{known}, true},
		{"not looked for", []invalidation.Tag{unknown}, false},
		{"no tags", nil, false},
	} {
		if got := before.OlderThan(later, test.tags); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if later.OlderThan(later, []invalidation.Tag{known, unknown}) || later.OlderThan(before, []invalidation.Tag{unknown}) {
		t.Error("the same generation, or one that is not known later, is no invalidation")
	}
	brought := &Snapshot{}
	brought.Add(known, GenerationRecord{Generation: stored.Generation{2}})
	if before.OlderThan(brought, []invalidation.Tag{known}) {
		t.Error("a generation that a stored response has brought is no invalidation")
	}
	e := &stored.Entry{Tags: []invalidation.Tag{known}, Record: &stored.Record{Generations: []stored.Generation{{2}}}}
	if !later.current(e) || before.current(e) || (&Snapshot{}).current(e) {
		t.Error("a response is current if all of its tags have the generations that it remembers")
	}
}
