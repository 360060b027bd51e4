package cache

import (
	"context"
	"sync/atomic"

	"github.com/plyhttp/ply/middleware/cache/internal/memory"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// MemoryOptions bound a [Memory].
type MemoryOptions struct {
	// MaxBytes bounds the bytes of all entries together: bodies, headers, keys and overhead.
	// Zero means 64 MiB; a negative value means that nothing is kept.
	MaxBytes int64

	// MaxEntries bounds the number of entries, each variant counted. Zero or less means that only MaxBytes bounds.
	MaxEntries int

	// Evicted is called with each entry that had to go to make room for another one, on the goroutine that stores that. Nil means that no function is called.
	Evicted func(*Entry)
}

// Memory keeps responses in this process's memory. When it is full, what has not been used for long goes first, and of that what was used only once:
// a walk through many URLs that are asked for once each does not drive out what is asked for again and again.
// It is safe for concurrent use, and readers wait for no lock. Make one with [NewMemory]: the zero Memory cannot be used.
//
// As the Store of a cache it keeps responses as they are served. It is a [store.Store] as well, for what stands between it and a cache, such as [store.Encrypted].
// Only then it holds records, and returns errors. A private and a shared cache need a Memory each: [New] refuses to have both keep responses in one.
type Memory struct {
	lru  *memory.Store
	kind atomic.Int32 // of the caches whose responses it keeps, once there is one
}

// takes reports whether m may keep the responses of a cache of this kind: its keys are those of a cache of the other kind, too.
func (m *Memory) takes(shared bool) bool {
	kind := int32(1)
	if shared {
		kind = 2
	}
	return m.kind.CompareAndSwap(0, kind) || m.kind.Load() == kind
}

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	var evicted func(*stored.Entry)
	if o.Evicted != nil {
		evicted = func(e *stored.Entry) { o.Evicted(&Entry{stored: e}) }
	}
	return &Memory{lru: memory.New(o.MaxBytes, o.MaxEntries, evicted)}
}

// Bytes returns how many bytes are taken.
func (m *Memory) Bytes() int64 { return m.lru.Bytes() }

// Len returns the number of entries, each variant counted.
func (m *Memory) Len() int { return m.lru.Len() }

// Evictions returns how many sets of variants had to go to make room.
func (m *Memory) Evictions() int64 { return m.lru.Evictions() }

// Clear removes everything. Its error is nil.
func (m *Memory) Clear(ctx context.Context) error { return m.lru.Clear(ctx) }

// Close does nothing: what a Memory holds needs no letting go. It makes a Memory a [store.Closer].
func (m *Memory) Close() error { return nil }

// Get returns a copy of the record under key, or the zero Record if there is none. Its error is nil.
func (m *Memory) Get(ctx context.Context, key string) (store.Record, error) {
	return m.lru.Get(ctx, key)
}

// Put stores a copy of a record in the place of the one whose version it has. Its error is [store.ErrConflict] if another one is there,
// and [store.ErrTooLarge] if the record is larger than the whole Memory.
func (m *Memory) Put(ctx context.Context, key string, r store.Record) error {
	return m.lru.Put(ctx, key, r)
}

// Delete removes the record under key if it has this version, or any if that is "". Its error is [store.ErrConflict] if another version is there;
// if there is none, it is nil.
func (m *Memory) Delete(ctx context.Context, key, version string) error {
	return m.lru.Delete(ctx, key, version)
}

// Range calls f with a copy of each record of a kind until f returns false. f may call the Memory. Its error is that of ctx.
func (m *Memory) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	return m.lru.Range(ctx, kind, f)
}
