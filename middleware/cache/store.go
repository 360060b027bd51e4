package cache

import "context"

// sets is what a cache keeps its responses in: decoded, and all variants of a resource under one key.
// It is safe for concurrent use. An error is a miss to the cache, never to the caller of a request.
type sets interface {
	// update replaces what is stored under key by what change makes of it. Both may be nil, for nothing.
	// It is atomic: of two concurrent updates one sees the other's result. change may be called several times and has no effects.
	update(ctx context.Context, key string, change func(*variants) *variants) error

	// deleteTagged removes everything that has one of the tags. What is put later is not affected.
	deleteTagged(ctx context.Context, tags []tag) error

	// deleteEntry removes an entry that each has shown, and what a validation has put in its place since.
	deleteEntry(ctx context.Context, e *Entry) error

	// each calls f with what is stored under each key, and with a function that updates it, until f returns false. It holds no lock meanwhile.
	each(ctx context.Context, f func(set *variants, update updater) bool) error

	// clear removes everything.
	clear(ctx context.Context) error
}

// An updater is [sets.update] for one key.
type updater func(change func(*variants) *variants) error
