package storetest

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
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

// Each of these stores has one fault, and the named rule must see it.
var faults = []struct {
	name string
	rule string
	make func() *broken
}{
	{"an error for what is absent", "absent", func() *broken {
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			if r.Version == "" {
				err = errors.New("not found")
			}
			return r, err
		}}
	}},
	{"Delete of nothing fails", "absent", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			if r, _ := m.Get(bg, key); r.Version == "" {
				return errors.New("not found")
			}
			return m.Delete(bg, key, version)
		}}
	}},
	{"Put creates whatever the version", "absent", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); old.Version == "" {
				r.Version = ""
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"data is cut at 64 KiB", "exact bytes", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = r.Data[:min(len(r.Data), 65536)] })}
	}},
	{"data is trimmed", "exact bytes", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = append(bytes.TrimRight(r.Data[1:], "\x00 "), r.Data[0]) })}
	}},
	{"data is text", "exact bytes", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = bytes.ToValidUTF8(r.Data, []byte("?")) })}
	}},
	{"a longer record shines through", "exact bytes", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); len(old.Data) > len(r.Data) {
				r.Data = append(bytes.Clone(r.Data), old.Data[len(r.Data):]...)
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"no kind", "fields come back", func() *broken { return &broken{put: orPut(func(r *store.Record) { r.Kind = 0 })} }},
	{"no owner", "fields come back", func() *broken { return &broken{put: orPut(func(r *store.Record) { r.Owner = "" })} }},
	{"whole seconds", "fields come back", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if !r.Expires.IsZero() {
				r.Expires = r.Expires.Truncate(time.Second)
			}
		})}
	}},
	{"zero is a time", "fields come back", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if r.Expires.IsZero() {
				r.Expires = time.Now().Add(1e6 * time.Hour)
			}
		})}
	}},
	{"unknown kinds are refused", "fields come back", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if r.Kind > store.KindSetup {
				return errors.New("unknown kind")
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"long labels are refused", "fields come back", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if len(r.Label) > 1000 {
				return errors.New("label too long")
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"case does not count", "every key is its own", func() *broken { return renamed(strings.ToLower) }},
	{"keys are cut", "every key is its own", func() *broken { return renamed(func(key string) string { return key[:min(len(key), 127)] }) }},
	{"punctuation is one", "every key is its own", func() *broken { return renamed(strings.NewReplacer(":", "_", ".", "_").Replace) }},
	{"dots are cleaned", "every key is its own", func() *broken { return renamed(func(key string) string { return strings.TrimPrefix(key, ".") }) }},
	{"Delete removes a prefix", "every key is its own", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			for _, k := range m.list(0) {
				if strings.HasPrefix(k.key, key) {
					m.Delete(bg, k.key, "")
				}
			}
			for _, k := range m.list(store.KindEntry) {
				if strings.HasPrefix(k.key, key) {
					m.Delete(bg, k.key, "")
				}
			}
			return nil
		}}
	}},
	{"versions begin again", "versions", func() *broken {
		born := make(map[string]uint64)
		return versioned(func(key, real string) string {
			var now, first uint64
			fmt.Sscanf(real, "%x", &now)
			if now%5 == 0 {
				born[key] = now
			}
			first = born[key]
			return fmt.Sprint(now - first)
		})
	}},
	{"the version is the hour", "versions", func() *broken { return versioned(func(string, string) string { return "this-hour" }) }},
	{"versions change", "versions", func() *broken {
		n := 0
		return versioned(func(_, real string) string { n++; return fmt.Sprint(real, "-", n) })
	}},
	{"Clear resets versions", "versions", func() *broken {
		return &broken{clear: func(m *Map) error { m.Clear(bg); m.versions = 0; return nil }}
	}},
	{"Put replaces anything", "put replaces one version", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			old, _ := m.Get(bg, key)
			r.Version = old.Version
			return m.Put(bg, key, r)
		}}
	}},
	{"Put replaces any version, but creates only what is absent", "put replaces one version", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); r.Version != "" {
				r.Version = old.Version
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"a conflict deletes", "put replaces one version", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if err != nil {
				m.Delete(bg, key, "")
			}
			return err
		}}
	}},
	{"Delete removes any version", "delete removes one version", func() *broken {
		return &broken{delete: func(m *Map, key, _ string) error { return m.Delete(bg, key, "") }}
	}},
	{"Delete removes nothing without a version", "delete removes one version", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			if version == "" {
				return nil
			}
			return m.Delete(bg, key, version)
		}}
	}},
	{"Put keeps what it is given", "data is not shared", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if err == nil {
				m.records[key].Value.(*kept).record.Data = r.Data
			}
			return err
		}}
	}},
	{"Get gives away what it keeps", "data is not shared", func() *broken {
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			if e := m.live(key, time.Now()); e != nil {
				return e.Value.(*kept).record, nil
			}
			return store.Record{}, nil
		}}
	}},
	{"Get uses a buffer again", "data is not shared", func() *broken {
		var buffer []byte
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			if r.Data != nil {
				buffer = append(buffer[:0], r.Data...)
				r.Data = buffer
			}
			return r, err
		}}
	}},
	{"GetMulti shares", "data is not shared", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) {
			records, err := m.GetMulti(bg, keys)
			for i := range records {
				records[i].Data = records[0].Data
			}
			return records, err
		}}
	}},
	{"Range shares", "data is not shared", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			for _, k := range m.list(kind) {
				f(k.key, k.record)
			}
			return nil
		}}
	}},
	{"a record that is over leaves the old one", "expired in the past", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if !r.Expires.IsZero() && r.Expires.Before(time.Now()) {
				return nil
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"a record that is over is refused", "expired in the past", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if !r.Expires.IsZero() && r.Expires.Before(time.Now()) {
				return errors.New("expired")
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"nothing expires", "expires in time", func() *broken { return &broken{put: orPut(func(r *store.Record) { r.Expires = time.Time{} })} }},
	{"expires a second late", "expires in time", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Expires = r.Expires.Add(time.Second) })}
	}},
	{"an expired record can be replaced", "expires in time", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if r.Version != "" && m.live(key, time.Now()) == nil {
				r.Version = ""
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"an expired record is in the way", "expires in time", func() *broken {
		put := make(map[string]bool)
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if r.Version == "" && put[key] {
				return store.ErrConflict
			}
			put[key] = true
			return m.Put(bg, key, r)
		}}
	}},
	{"expires by whole seconds", "does not expire early", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if !r.Expires.IsZero() {
				r.Expires = time.Now().Add(time.Until(r.Expires).Truncate(time.Second))
			}
		})}
	}},
	{"expires after 30 days", "does not expire early", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if time.Until(r.Expires) > 30*24*time.Hour {
				r.Expires = time.Now().Add(-time.Second)
			}
		})}
	}},
	{"the earlier time stays", "does not expire early", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); !old.Expires.IsZero() {
				r.Expires = old.Expires
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"too large for a record costs it", "too large", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if errors.Is(err, store.ErrTooLarge) {
				m.Delete(bg, key, "")
			}
			return err
		}}
	}},
	{"too large has another name", "too large", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			err := m.Put(bg, key, r)
			if errors.Is(err, store.ErrTooLarge) {
				err = errors.New("value too large")
			}
			return err
		}}
	}},
	{"what is too large is cut off", "too large", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Data = r.Data[:min(len(r.Data), 3<<20)] })}
	}},
	{"a part takes its owner along", "owners", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			r, _ := m.Get(bg, key)
			m.Delete(bg, r.Owner, "")
			return m.Delete(bg, key, version)
		}}
	}},
	{"an owner takes the parts of others along", "owners", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			if r, _ := m.Get(bg, key); r.Kind == store.KindEntry {
				for _, k := range m.list(store.KindBody) {
					m.Delete(bg, k.key, "")
				}
			}
			return m.Delete(bg, key, version)
		}}
	}},
	{"keys that come late are dropped", "many keys", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if len(m.records) > 1000 {
				return nil
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"a Put too late is said to be done", "context done", func() *broken {
		return &broken{done: func(context.Context) error { return nil }}
	}},
	{"a Put does not look at its context", "context done", func() *broken {
		return &broken{done: func(context.Context) error { <-time.After(time.Second); return nil }}
	}},
	{"creation is not atomic", "one creation succeeds", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			old, _ := m.Get(bg, key)
			if old.Version != r.Version {
				return store.ErrConflict
			}
			runtime.Gosched()
			old, _ = m.Get(bg, key)
			r.Version = old.Version
			m.Put(bg, key, r)
			return nil
		}}
	}},
	{"updates are not atomic", "no lost update", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			old, _ := m.Get(bg, key)
			if old.Version != r.Version {
				return store.ErrConflict
			}
			runtime.Gosched()
			for {
				old, _ = m.Get(bg, key)
				r.Version = old.Version
				if m.Put(bg, key, r) == nil {
					return nil
				}
			}
		}}
	}},
	{"Delete is not atomic", "put or delete", func() *broken {
		return &broken{delete: func(m *Map, key, version string) error {
			if old, _ := m.Get(bg, key); old.Version != version {
				return store.ErrConflict
			}
			for range 20 {
				runtime.Gosched()
			}
			return m.Delete(bg, key, "")
		}}
	}},
	{"the version is read after the data", "reads are whole", func() *broken {
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			for range 10 {
				runtime.Gosched()
			}
			if now, _ := m.Get(bg, key); r.Version != "" && now.Version != "" {
				r.Version = now.Version
			}
			return r, err
		}}
	}},
	{"reads are torn", "reads are whole", func() *broken {
		return &broken{get: func(m *Map, key string) (store.Record, error) {
			r, err := m.Get(bg, key)
			runtime.Gosched()
			if now, _ := m.Get(bg, key); len(now.Data) > 100 && len(r.Data) > 100 {
				r.Data = append(r.Data[:100:100], now.Data[100:]...)
			}
			return r, err
		}}
	}},
	{"GetMulti leaves out what is absent", "get multi", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) {
			records, err := m.GetMulti(bg, keys)
			return slices.DeleteFunc(records, func(r store.Record) bool { return r.Version == "" }), err
		}}
	}},
	{"GetMulti sorts", "get multi", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) {
			return m.GetMulti(bg, slices.Sorted(slices.Values(keys)))
		}}
	}},
	{"GetMulti finds few", "get multi", func() *broken {
		return &broken{multi: func(m *Map, keys []string) ([]store.Record, error) { return m.GetMulti(bg, keys[:min(len(keys), 100)]) }}
	}},
	{"Range lists every kind", "range", func() *broken {
		return &broken{ranging: func(m *Map, _ store.Kind, f func(string, store.Record) bool) error {
			for kind := range 256 {
				m.Range(bg, store.Kind(kind), f)
			}
			return nil
		}}
	}},
	{"Range does not end", "range", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			return m.Range(bg, kind, func(key string, r store.Record) bool { f(key, r); return true })
		}}
	}},
	{"Range sees a page", "range", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			n := 0
			return m.Range(bg, kind, func(key string, r store.Record) bool { n++; return n <= 100 && f(key, r) })
		}}
	}},
	{"Range lists what is over", "range", func() *broken {
		b := &broken{}
		b.put = func(m *Map, key string, r store.Record) error {
			if key == "expired" {
				m.records[key] = m.used.PushFront(&kept{key: key, record: r})
				return nil
			}
			return m.Put(bg, key, r)
		}
		b.ranging = func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			if e := m.records["expired"]; e != nil && kind == store.KindEntry {
				f("expired", e.Value.(*kept).record)
			}
			return m.Range(bg, kind, f)
		}
		return b
	}},
	{"Range holds a lock", "range", func() *broken {
		var mu sync.Mutex
		return &broken{
			get: func(m *Map, key string) (store.Record, error) {
				mu.Lock()
				defer mu.Unlock()
				return m.Get(bg, key)
			},
			ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
				for _, k := range m.list(kind) {
					mu.Lock()
					more := f(k.key, private(k.record))
					mu.Unlock()
					if !more {
						break
					}
				}
				return nil
			},
		}
	}},
	{"Range mixes records up", "range while others write", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			var last store.Record
			return m.Range(bg, kind, func(key string, r store.Record) bool {
				if strings.HasPrefix(key, "moving") && last.Data != nil {
					r.Data = last.Data
				}
				last = r
				return f(key, r)
			})
		}}
	}},
	{"Range ends at a change", "range while others write", func() *broken {
		return &broken{ranging: func(m *Map, kind store.Kind, f func(string, store.Record) bool) error {
			m.mu.Lock()
			before := m.versions
			m.mu.Unlock()
			return m.Range(bg, kind, func(key string, r store.Record) bool {
				<-time.After(time.Microsecond)
				m.mu.Lock()
				now := m.versions
				m.mu.Unlock()
				return now == before && f(key, r)
			})
		}}
	}},
	{"Clear leaves what has an owner", "clear", func() *broken {
		return &broken{clear: func(m *Map) error {
			for _, e := range m.records {
				if e.Value.(*kept).record.Owner == "" {
					m.drop(e)
				}
			}
			return nil
		}}
	}},
	{"DeleteExpired has its own clock", "delete expired", func() *broken {
		return &broken{expire: func(m *Map, _ time.Time) (int, error) { return m.DeleteExpired(bg, time.Now()) }}
	}},
	{"DeleteExpired counts nothing", "delete expired", func() *broken {
		return &broken{expire: func(m *Map, now time.Time) (int, error) { m.DeleteExpired(bg, now); return 0, nil }}
	}},
	{"DeleteExpired removes everything", "delete expired", func() *broken {
		return &broken{expire: func(m *Map, now time.Time) (int, error) {
			n, err := m.DeleteExpired(bg, now)
			if n > 0 {
				m.Clear(bg)
			}
			return n, err
		}}
	}},
	{"Size never shrinks", "size", func() *broken {
		var most int64
		return &broken{size: func(m *Map) (int64, int64, error) {
			records, bytes, err := m.Size(bg)
			most = max(most, bytes)
			return records, most, err
		}}
	}},
	{"Size counts the old record, too", "size", func() *broken {
		b := &broken{}
		var leak int64
		b.put = func(m *Map, key string, r store.Record) error {
			old, _ := m.Get(bg, key)
			leak += int64(len(old.Data))
			return m.Put(bg, key, r)
		}
		b.size = func(m *Map) (int64, int64, error) {
			records, bytes, err := m.Size(bg)
			return records, bytes + leak, err
		}
		return b
	}},
	{"Notify does not stop", "notify", func() *broken {
		return &broken{
			put: func(m *Map, key string, r store.Record) error {
				for _, f := range m.listeners {
					f(key)
				}
				return m.Put(bg, key, r)
			},
			notify: func(m *Map, f func(string)) func() { m.Notify(f); return func() {} },
		}
	}},
}

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
		if !slices.ContainsFunc(faults, func(f struct {
			name, rule string
			make       func() *broken
		}) bool {
			return f.rule == r.name
		}) {
			t.Errorf("no broken store shows that the rule %q works", r.name)
		}
	}
}

// deaf is an instance with records of its own: what others do does not reach it.
func TestABrokenSharedStoreIsCaught(t *testing.T) {
	instances := func(of func(first, m *Map) store.Store) []store.Store {
		first := NewMap(0)
		stores := []store.Store{of(first, first)}
		for len(stores) < instances {
			stores = append(stores, of(first, first.Open()))
		}
		return stores
	}
	apart := func(_, _ *Map) store.Store { return NewMap(0) }
	checksThenActs := func(_, m *Map) store.Store {
		return &broken{Map: m, put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); old.Version != r.Version {
				return store.ErrConflict
			}
			runtime.Gosched()
			for {
				old, _ := m.Get(bg, key)
				r.Version = old.Version
				if m.Put(bg, key, r) == nil {
					return nil
				}
			}
		}}
	}
	tests := []struct {
		name, rule string
		of         func(first, m *Map) store.Store
	}{
		{"instances have nothing in common", "seen by others", apart},
		{"instances have nothing in common", "one creation succeeds", apart},
		{"instances check, then act", "no lost update", checksThenActs},
		{"Delete by others is not atomic", "put or delete", func(_, m *Map) store.Store {
			return &broken{Map: m, delete: func(m *Map, key, version string) error {
				if old, _ := m.Get(bg, key); old.Version != version {
					return store.ErrConflict
				}
				for range 20 {
					runtime.Gosched()
				}
				return m.Delete(bg, key, "")
			}}
		}},
		{"records are torn", "reads are whole", func(_, m *Map) store.Store {
			return &broken{Map: m, get: func(m *Map, key string) (store.Record, error) {
				r, err := m.Get(bg, key)
				runtime.Gosched()
				if now, _ := m.Get(bg, key); len(now.Data) > 100 && len(r.Data) > 100 {
					r.Data = append(r.Data[:100:100], now.Data[100:]...)
				}
				return r, err
			}}
		}},
		{"each instance counts its versions itself", "versions", func(_, m *Map) store.Store {
			b := versioned(func(_, real string) string { return real[max(0, len(real)-1):] })
			b.Map = m
			return b
		}},
		{"Clear is for one instance", "clear", func(_, m *Map) store.Store {
			return &broken{Map: m, clear: func(m *Map) error { return nil }}
		}},
		{"Notify hears only itself", "notify", func(_, _ *Map) store.Store { return NewMap(0) }},
		{"Notify hears only Puts", "notify", func(_, m *Map) store.Store {
			return &broken{Map: m, delete: func(m *Map, key, _ string) error {
				m.mu.Lock()
				defer m.mu.Unlock()
				if e := m.records[key]; e != nil {
					m.drop(e)
				}
				return nil
			}}
		}},
	}
	for _, r := range sharedRules {
		if !slices.ContainsFunc(tests, func(tt struct {
			name, rule string
			of         func(first, m *Map) store.Store
		}) bool {
			return tt.rule == r.name
		}) {
			t.Errorf("no broken store shows that the rule %q works", r.name)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name+", "+tt.rule, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(sharedRules, func(r rule) bool { return r.name == tt.rule })
			failures := judge(t, sharedRules[i], instances(tt.of))
			if len(failures) == 0 || failures[0] == "skipped" {
				t.Fatalf("rule %q finds nothing: %q", tt.rule, failures)
			}
			t.Logf("%.200s", failures[0])
		})
	}
}

func TestABrokenBoundIsCaught(t *testing.T) {
	victims := func(choose func(m *Map) *list.Element) func() *broken {
		return func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				for m.bytes+int64(len(key)+len(r.Data))+overhead > m.limit && int64(len(r.Data)) < m.limit {
					m.drop(choose(m))
				}
				return m.Put(bg, key, r)
			}}
		}
	}
	tests := []struct {
		name, rule string
		make       func() *broken
	}{
		{"no bound", "bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error { m.limit = 1 << 40; return m.Put(bg, key, r) }}
		}},
		{"full is full", "bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if m.bytes+int64(len(r.Data)) > m.limit*3/4 {
					return errors.New("full")
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"everything goes at once", "bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if m.bytes > m.limit/4 {
					m.Clear(bg)
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"the newest go", "newest stay", victims(func(m *Map) *list.Element { return m.used.Front() })},
		{"any go", "newest stay", victims(func(m *Map) *list.Element {
			e := m.used.Back()
			for i := range m.versions * 7919 % uint64(m.used.Len()) {
				if e.Prev() != nil && i < 1<<20 {
					e = e.Prev()
				}
			}
			return e
		})},
		{"too large empties the store", "too large for the bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if int64(len(r.Data)) > m.limit {
					m.Clear(bg)
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"too large is kept", "too large for the bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if int64(len(r.Data)) > m.limit {
					m.limit = 1 << 40
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"a Get is no use", "used ones stay", func() *broken {
			return &broken{get: func(m *Map, key string) (store.Record, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				if e := m.live(key, time.Now()); e != nil {
					return private(e.Value.(*kept).record), nil
				}
				return store.Record{}, nil
			}}
		}},
	}
	for _, r := range boundedRules {
		if !slices.ContainsFunc(tests, func(tt struct {
			name, rule string
			make       func() *broken
		}) bool {
			return tt.rule == r.name
		}) {
			t.Errorf("no broken store shows that the rule %q works", r.name)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(boundedRules, func(r rule) bool { return r.name == tt.rule })
			b := tt.make()
			b.Map = NewMap(bound)
			failures := judge(t, boundedRules[i], []store.Store{b})
			if len(failures) == 0 || failures[0] == "skipped" {
				t.Fatalf("rule %q finds nothing: %q", tt.rule, failures)
			}
			t.Logf("%.200s", failures[0])
		})
	}
}
