package store

import (
	"context"
	"errors"
	"time"
)

// A Store keeps records by key.
//
// For those who write one, the contract:
//
//   - Every method is safe for concurrent use, and returns soon after its context is done.
//   - Keys are 1 to 128 bytes of the set [A-Za-z0-9_.:-] and are case-sensitive. Two keys never share a record.
//   - Get returns exactly the bytes that were put, or no record. A store that cannot tell a torn write from a whole one need not worry:
//     the cache checks what it reads. But it must never make up a record under another key.
//   - Put and Delete are atomic, alone and against each other, in all processes that share the store: of two concurrent changes to one version,
//     one succeeds, and the other gets [ErrConflict].
//   - What Put has returned nil for is seen by every later Get, in this process at least, until it expires or is evicted.
//   - A record whose time is over is not returned, and Put takes it for absent. Its room is given back at some time.
//     To put one whose time is over already is no error: it replaces what is there, and then nothing is there.
//   - Get, GetMulti and Range return Data, Version, Kind, Owner and, to the millisecond, Expires. Nothing of them stays from the record before.
//   - A store is bounded. It makes room by dropping what was used longest ago, and a Get is a use. Records with one Owner go together if that is possible.
//   - A record that is larger than the store can hold is refused with [ErrTooLarge], and nothing is changed.
//   - Data belongs to the caller before Put returns, and to the caller after Get has returned: the store neither keeps nor shares it.
//   - An error is never a wrong record. Any error is a miss to the cache, and the caller of a request never sees it.
//   - No method is called after Close, if the store has one. The store's owner closes it, not the cache.
//
// What only some stores can do is in the optional interfaces [MultiGetter], [Ranger], [Clearer], [Expirer], [Sizer] and [Notifier].
// A store implements those that it can do well, and a cache asks for them with [As].
//
// A wrapper, which passes calls on to another store, keeps the same contract and
//
//   - has a method Unwrap() Store, so that [As] finds out what the wrapped store can do;
//   - implements every optional interface that it can pass on, and asks the wrapped store with As, too;
//   - does in GetMulti and Range whatever it does in Get: they return records as well;
//   - hides an interface by not implementing it;
//   - does not embed a concrete store, whose methods would then go around it.
type Store interface {
	// Get returns the record under key. An absent record is the zero Record and no error.
	Get(ctx context.Context, key string) (Record, error)

	// Put stores r under key in the place of the record whose version is r.Version, which "" says is absent.
	// If something else is there, it changes nothing and returns ErrConflict.
	Put(ctx context.Context, key string, r Record) error

	// Delete removes the record under key if its version is this one; "" stands for any version.
	// With nothing there it returns nil. With another version there it returns ErrConflict.
	Delete(ctx context.Context, key, version string) error
}

// A Record is what a store keeps under a key.
type Record struct {
	// Data are the bytes, at least one, and less than 2 MiB if they are from this module's cache. What they mean is nothing to the store.
	Data []byte

	// Version tells this record from those that were or will be under its key. The store chooses it, never "" and never one that it had before under that key
	// within an hour; counters and random numbers are good versions. In a Put it is the version that is replaced.
	Version string

	// Expires is when the record's life ends, with a precision of at least a millisecond. Zero means never.
	Expires time.Time

	// Kind says what the record is for, so that people can read a store with its own tools.
	Kind Kind

	// Owner is the key of the record that this one is a part of, or "". The parts of a body name the entry's record.
	Owner string

	// Label says for people what the record is about: a URL without secrets, mostly. A store may cut it off, or drop it. It need not come back from Get.
	Label string
}

// Kind says what a record is for.
type Kind uint8

// The kinds. Stores must take kinds that they do not know.
const (
	KindEntry      Kind = iota + 1 // the responses under one key of the cache, with all headers and with small bodies
	KindBody                       // a piece of a large body
	KindGeneration                 // the generation of a URL or a group, which an invalidation changes: without it, what it is about counts as invalidated
	KindLease                      // who fetches at the moment
	KindSetup                      // what the cache itself keeps, such as the secret of its hashes
)

// String returns the kind as stores show it to people: "entry", "body", "mark" for a generation, "lock" for a lease, "setup", and "other" for what is not known.
func (k Kind) String() string {
	if names := [...]string{"other", "entry", "body", "mark", "lock", "setup"}; int(k) < len(names) {
		return names[k]
	}
	return "other"
}

var (
	// ErrConflict is what a Put or Delete returns, or wraps, when another version is there than the one it was to replace.
	ErrConflict = errors.New("store: the record has been changed meanwhile")

	// ErrNewer is what a call returns, or wraps, that concerns a record which a later version of the store's own code has written, and which stays as it is:
	// to a cache it is absent, and cannot be replaced. Only a Delete of any version removes it.
	// A GetMulti may return it for all of its keys: the cache asks for each of them again.
	ErrNewer = errors.New("store: a later version has written the record")

	// ErrTooLarge is what a Put returns, or wraps, when the record exceeds the store's bounds.
	ErrTooLarge = errors.New("store: the record is too large for this store")
)

// A MultiGetter is a [Store] that reads several records in one go.
type MultiGetter interface {
	// GetMulti returns a record for each key, in their order; the zero Record where there is none.
	GetMulti(ctx context.Context, keys []string) ([]Record, error)
}

// A Ranger is a [Store] that can list what it holds.
type Ranger interface {
	// Range calls f with each key and record of a kind until f returns false. What is put or deleted meanwhile may be seen or not.
	// f may call the store. No lock is held, and no transaction is open, while f runs.
	Range(ctx context.Context, kind Kind, f func(key string, r Record) bool) error
}

// A Clearer is a [Store] that can forget everything at once.
type Clearer interface {
	// Clear removes every record. What others put meanwhile may stay. If it returns an error, some of them may be gone.
	Clear(ctx context.Context) error
}

// An Expirer is a [Store] that gives back the room of expired records on demand.
type Expirer interface {
	// DeleteExpired removes the records whose time is over at now, and returns how many there were.
	DeleteExpired(ctx context.Context, now time.Time) (int, error)
}

// A Sizer is a [Store] that knows how much it holds.
type Sizer interface {
	// Size returns the number of records and their bytes, overhead included where the store knows it.
	Size(ctx context.Context) (records, bytes int64, err error)
}

// A Notifier is a [Store] that hears of changes which others make.
type Notifier interface {
	// Notify has f called with each key that another instance, in this process or another, may have changed; "" stands for all keys.
	// That what Get returns is out of date must be known soon, not at once. stop ends the calls; after it has returned, none is made.
	// f returns soon and does not call the store.
	Notify(f func(key string)) (stop func())
}
