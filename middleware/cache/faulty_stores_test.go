package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// troubled is a store with a fault for some of its calls: op is "get", "put" or "delete".
type troubled struct {
	*storetest.Map
	fault atomic.Pointer[func(ctx context.Context, op, key string) error]
}

// trouble sets the fault; nil ends it.
func (s *troubled) trouble(fault func(ctx context.Context, op, key string) error) {
	if fault == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&fault)
}

func (s *troubled) check(ctx context.Context, op, key string) error {
	if fault := s.fault.Load(); fault != nil {
		return (*fault)(ctx, op, key)
	}
	return nil
}

func (s *troubled) Get(ctx context.Context, key string) (store.Record, error) {
	if err := s.check(ctx, "get", key); err != nil {
		return store.Record{}, err
	}
	return s.Map.Get(ctx, key)
}

func (s *troubled) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = s.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (s *troubled) Put(ctx context.Context, key string, r store.Record) error {
	if err := s.check(ctx, "put", key); err != nil {
		return err
	}
	return s.Map.Put(ctx, key, r)
}

func (s *troubled) Delete(ctx context.Context, key, version string) error {
	if err := s.check(ctx, "delete", key); err != nil {
		return err
	}
	return s.Map.Delete(ctx, key, version)
}

func refusesChanges(_ context.Context, op, _ string) error {
	if op != "get" {
		return errors.New("read-only")
	}
	return nil
}

func changesHang(ctx context.Context, op, key string) error {
	if op != "get" {
		return hangs(ctx, op, key)
	}
	return nil
}

// stateful is an origin whose answers say how many unsafe requests came before.
func stateful(fields ...string) *origin {
	var state atomic.Int64
	return &origin{answer: func(r *http.Request) *http.Response {
		if r.Method != "GET" {
			state.Add(1)
			return reply(200, "")
		}
		return reply(200, fmt.Sprint(state.Load()), append([]string{"Cache-Control: max-age=3600"}, fields...)...)
	}}
}

// all returns the bytes of all records, and their keys and labels.
func all(t *testing.T, m *storetest.Map) string {
	t.Helper()
	var b strings.Builder
	for kind := range store.Kind(8) {
		require.NoError(t, m.Range(t.Context(), kind, func(key string, r store.Record) bool {
			fmt.Fprintf(&b, "%s %s %s %s\n", key, r.Owner, r.Label, r.Data)
			return true
		}))
	}
	return b.String()
}

// keys returns the keys of a kind.
func keys(t *testing.T, s store.Ranger, kind store.Kind) []string {
	t.Helper()
	var keys []string
	require.NoError(t, s.Range(t.Context(), kind, func(key string, _ store.Record) bool {
		keys = append(keys, key)
		return true
	}))
	return keys
}

// faulty is a store whose calls fail in ways that a test chooses.
type faulty struct {
	*storetest.Map
	calls  atomic.Int64
	mu     sync.Mutex                               // guards fault
	fault  func(ctx context.Context, n int64) error // nil for no fault
	tamper func(key string, r store.Record) store.Record
}

func (f *faulty) fail(ctx context.Context) error {
	n := f.calls.Add(1)
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx, n)
}

func (f *faulty) set(fault func(context.Context, int64) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) Get(ctx context.Context, key string) (store.Record, error) {
	if err := f.fail(ctx); err != nil {
		return store.Record{}, err
	}
	r, err := f.Map.Get(ctx, key)
	if f.tamper != nil && err == nil {
		r = f.tamper(key, r)
	}
	return r, err
}

func (f *faulty) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	return oneByOne(ctx, f.Get, keys)
}

// oneByOne is GetMulti of a store whose Get counts, fails or lies for each record.
func oneByOne(ctx context.Context, get func(context.Context, string) (store.Record, error), keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = get(ctx, key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (f *faulty) Put(ctx context.Context, key string, r store.Record) error {
	if err := f.fail(ctx); err != nil {
		return err
	}
	return f.Map.Put(ctx, key, r)
}

func (f *faulty) Delete(ctx context.Context, key, version string) error {
	if err := f.fail(ctx); err != nil {
		return err
	}
	return f.Map.Delete(ctx, key, version)
}

// plain hides what a store can do beside its three methods.
type plain struct{ store.Store }
