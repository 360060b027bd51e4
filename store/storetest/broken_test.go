package storetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plyhttp/ply/store"
)

// verdict collects what a rule says of a store that must fail.
type verdict struct {
	mu       sync.Mutex // guards the fields below
	failures []string
	skipped  bool
}

func (v *verdict) Helper()             {}
func (v *verdict) Logf(string, ...any) {}
func (v *verdict) Skipf(string, ...any) {
	v.skipped = true
	runtime.Goexit()
}

func (v *verdict) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failures = append(v.failures, fmt.Sprintf(format, args...))
}

func (v *verdict) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	runtime.Goexit()
}

// judge runs one rule as Run does.
func judge(t *testing.T, r rule, stores []store.Store) []string {
	v := &verdict{}
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.check(&check{tb: v, Store: stores[0], all: stores, ctx: ctx, patience: 300 * time.Millisecond})
	}()
	<-done
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.skipped {
		return []string{"skipped"}
	}
	return v.failures
}

// broken is a Map of which one thing is wrong. Where a function is nil, it does what a Map does.
type broken struct {
	*Map
	get     func(m *Map, key string) (store.Record, error)
	put     func(m *Map, key string, r store.Record) error
	delete  func(m *Map, key, version string) error
	multi   func(m *Map, keys []string) ([]store.Record, error)
	ranging func(m *Map, kind store.Kind, f func(string, store.Record) bool) error
	clear   func(m *Map) error
	expire  func(m *Map, now time.Time) (int, error)
	size    func(m *Map) (int64, int64, error)
	notify  func(m *Map, f func(string)) func()
	done    func(ctx context.Context) error
}

func (b *broken) Get(ctx context.Context, key string) (store.Record, error) {
	if b.get == nil {
		return b.Map.Get(ctx, key)
	}
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	return b.get(b.Map, key)
}

func (b *broken) Put(ctx context.Context, key string, r store.Record) error {
	if b.done != nil && ctx.Err() != nil {
		return b.done(ctx)
	}
	if b.put == nil {
		return b.Map.Put(ctx, key, r)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.put(b.Map, key, r)
}

func (b *broken) Delete(ctx context.Context, key, version string) error {
	if b.delete == nil {
		return b.Map.Delete(ctx, key, version)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.delete(b.Map, key, version)
}

func (b *broken) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if b.multi == nil {
		return b.Map.GetMulti(ctx, keys)
	}
	return b.multi(b.Map, keys)
}

func (b *broken) Range(ctx context.Context, kind store.Kind, f func(string, store.Record) bool) error {
	if b.ranging == nil {
		return b.Map.Range(ctx, kind, f)
	}
	return b.ranging(b.Map, kind, f)
}

func (b *broken) Clear(ctx context.Context) error {
	if b.clear == nil {
		return b.Map.Clear(ctx)
	}
	return b.clear(b.Map)
}

func (b *broken) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	if b.expire == nil {
		return b.Map.DeleteExpired(ctx, now)
	}
	return b.expire(b.Map, now)
}

func (b *broken) Size(ctx context.Context) (int64, int64, error) {
	if b.size == nil {
		return b.Map.Size(ctx)
	}
	return b.size(b.Map)
}

func (b *broken) Notify(f func(string)) func() {
	if b.notify == nil {
		return b.Map.Notify(f)
	}
	return b.notify(b.Map, f)
}

var bg = context.Background()

func orPut(change func(r *store.Record)) func(*Map, string, store.Record) error {
	return func(m *Map, key string, r store.Record) error {
		r.Data = bytes.Clone(r.Data)
		change(&r)
		return m.Put(bg, key, r)
	}
}

func renamed(rename func(string) string) *broken {
	return &broken{
		get:    func(m *Map, key string) (store.Record, error) { return m.Get(bg, rename(key)) },
		put:    func(m *Map, key string, r store.Record) error { return m.Put(bg, rename(key), r) },
		delete: func(m *Map, key, version string) error { return m.Delete(bg, rename(key), version) },
	}
}

// versioned gives every record the version that the function says.
func versioned(f func(key, real string) string) *broken {
	real := func(m *Map, key, version string) string {
		if r, _ := m.Get(bg, key); version != "" && f(key, r.Version) == version {
			return r.Version
		}
		return version
	}
	return &broken{
		get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			if r.Version != "" {
				r.Version = f(key, r.Version)
			}
			return r, err
		},
		put: func(m *Map, key string, r store.Record) error {
			r.Version = real(m, key, r.Version)
			return m.Put(bg, key, r)
		},
		delete: func(m *Map, key, version string) error { return m.Delete(bg, key, real(m, key, version)) },
	}
}

// A fault is a store of which one thing is wrong, and the rule that must see it.
type fault struct {
	name string
	rule string
	make func() *broken
}

var faults = slices.Concat(basicFaults, expiryFaults, atomicFaults, extrasFaults)

func TestABrokenStoreIsCaught(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(rules, func(r rule) bool { return r.name == f.rule })
			if i < 0 {
				t.Fatalf("there is no rule %q", f.rule)
			}
			b := f.make()
			b.Map = NewMap(16 << 20)
			failures := judge(t, rules[i], []store.Store{b})
			if len(failures) == 0 || failures[0] == "skipped" {
				t.Fatalf("rule %q finds nothing: %q", f.rule, failures)
			}
			t.Logf("%.200s", failures[0])
		})
	}
}

// Every rule has a fault that it finds.
func TestEveryRuleHasAFault(t *testing.T) {
	for _, r := range rules {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.rule == r.name }) {
			t.Errorf("no broken store shows that the rule %q works", r.name)
		}
	}
}
