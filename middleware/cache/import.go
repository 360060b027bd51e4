package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/transfer"
	"github.com/plyhttp/ply/store"
)

// The errors of [Cache.Import] that a program may act on.
var (
	// ErrNoExport is the error for what is no export at all.
	ErrNoExport = transfer.ErrNoStream

	// ErrNewerExport is the error for an export that a later version of this module has written.
	ErrNewerExport = transfer.ErrNewer

	// ErrTruncatedExport is the error for an export that ends too early. What came before is imported.
	ErrTruncatedExport = transfer.ErrTruncated

	// ErrDamagedExport is the error for an export that does not hold what was written. What came before is imported.
	ErrDamagedExport = transfer.ErrDamaged

	// ErrOtherCache is the error of Import and [Copy] for entries of a cache whose entries mean something else than those of this one: one of both is shared,
	// or has OneIdentityBelow, or they have different key strategies. Nothing is imported: an answer could reach a person whom it was not made for.
	ErrOtherCache = errors.New("the entries are from a cache with other Options")
)

// Import takes in what [Cache.Export] has written, from a cache with the same Shared, Key and OneIdentityBelow as this one; see [ErrOtherCache].
// The Store may be of another kind. What is imported answers as in the cache that it is from: its age goes on by the wall clock, and what invalidates it is the same.
// Import replaces nothing that was requested as late or later, and takes nothing that has been invalidated here since it was requested, as far as is remembered:
// in this process the last 1024 invalidations, in a byte store those of an hour. It removes nothing. What was invalidated where it was exported is not in the stream.
// Not all that it leaves is an error: the report counts why.
//
// The stream is read as it comes, up to its end and no further. If it is cut off or damaged, what came before is imported, whole entries only, and the error says so.
// An entry is judged by the rules that it was stored under; call [Cache.RecomputeExpiry] afterwards for those of this cache.
// Import checks that the stream is sound, not who has made it: import only what is as trustworthy as the store itself.
//
// Entries that vary on credentials are found by hashes with a secret. Import takes over that of the export if nothing here is hashed with another one;
// otherwise it leaves such entries. With [Options.VaryHashKey] in both caches that question does not arise.
//
// Requests may be answered meanwhile. Import does not close r.
func (c *Cache) Import(ctx context.Context, r io.Reader) (MoveReport, error) {
	in, err := transfer.NewReader(r)
	if err != nil {
		return MoveReport{}, wrapped("import", err)
	}
	m, err := c.newImporter(ctx, &in.Header)
	if err != nil {
		return MoveReport{}, wrapped("import", err)
	}
	for {
		hash, e, err := in.Next()
		switch {
		case err == io.EOF:
			return m.report, nil
		case err != nil:
			return m.report, wrapped("import", err)
		}
		if err := m.add(ctx, hash, e, in.Body()); err != nil {
			return m.report, wrapped("import", err)
		}
		if err := ctx.Err(); err != nil {
			return m.report, wrapped("import", err)
		}
	}
}

// Copy puts what is stored in src into dst, whose Store may be of another kind: from memory into files, from files into a database.
// It is [Cache.Export] and [Cache.Import] without the stream, and what they say of caches, entries and secrets holds. Both caches may be in use meanwhile.
// The error is [ErrOtherCache] if their Options differ in what entries mean, and otherwise that of a store; what had been copied by then stays.
func Copy(ctx context.Context, dst, src *Cache) (MoveReport, error) {
	if dst == nil || src == nil || dst == src {
		return MoveReport{}, errors.New("cache: copy: give two caches, one to copy into and another one to copy from")
	}
	h, err := src.transferHeader(ctx)
	if err != nil {
		return MoveReport{}, wrapped("copy", err)
	}
	m, err := dst.newImporter(ctx, &h)
	if err != nil {
		return MoveReport{}, wrapped("copy", err)
	}
	err = src.eachForeign(ctx, &m.report, func(*Entry) bool { return true }, func(f *foreign) error {
		e, err := durable.DecodeEntry(f.encoded)
		if err != nil {
			m.report.skip(SkipUnfit)
			return nil
		}
		return m.add(ctx, f.hash, e, &sourceBody{f.body, ctx})
	})
	return m.report, wrapped("copy", err)
}

// sourceBody is a body of the cache that is copied. If it breaks off, the entry is void, as Export says it of a stream; that is no error of the cache copied into.
type sourceBody struct {
	io.Reader
	ctx context.Context
}

func (b *sourceBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	switch {
	case n > 0:
		return n, nil
	case err != nil && b.ctx.Err() == nil: // io.EOF too: who reads knows the size, and reads no further
		return 0, transfer.ErrVoid
	}
	return n, err
}

// An importer puts entries from elsewhere into a cache. One goroutine uses it.
type importer struct {
	*Cache
	report MoveReport
	began  invalidation.Moment // when the import did
	check  [16]byte            // of the secret that the export's hashes of credentials are made with
	keys   map[[32]byte]string // the keys in memory by their hashes
}

// newImporter checks that entries with this header mean the same here.
func (c *Cache) newImporter(ctx context.Context, h *transfer.Header) (*importer, error) {
	switch {
	case c.closed.Load():
		return nil, errCacheClosed
	case h.Shared != c.policy.Shared:
		return nil, otherCache("Shared", "one of both is shared")
	case h.OneIdentity != c.policy.OneIdentity:
		return nil, otherCache("OneIdentityBelow", "below one of both, credentials are added that the other does not know of")
	case h.Keys != fingerprintOf(c.key):
		return nil, otherCache("Key", "they make keys in different ways")
	}
	m := &importer{Cache: c, began: c.history.Now(), check: h.Check}
	if err := c.takeSecret(ctx, h); err != nil {
		return nil, err
	}
	if c.memory == nil {
		return m, nil
	}
	m.keys = make(map[[32]byte]string)
	return m, c.store.Each(ctx, nil, func(key string, _ *stored.Variants, _ stored.Updater) bool {
		if _, hashed := durable.HashIn(key); !hashed {
			m.keys[durable.HashKey(c.policy.Shared, key)] = key
		}
		return true
	})
}

func otherCache(option, why string) error {
	return &otherCacheError{"Options." + option + ": " + why + ", so an answer could reach a person whom it was not made for: give both the same, or let this cache fill itself"}
}

type otherCacheError struct{ text string }

func (e *otherCacheError) Error() string        { return ErrOtherCache.Error() + ": " + e.text }
func (e *otherCacheError) Is(target error) bool { return target == ErrOtherCache }

var errCacheClosed = errors.New("the cache is closed")

// takeSecret takes over the secret of an export if nothing depends on the one that is here.
func (c *Cache) takeSecret(ctx context.Context, h *transfer.Header) error {
	own, given, err := c.knownHashKey(ctx)
	if err != nil || given || h.Secret == (stored.HashKey{}) || h.Check == transfer.CheckOf(own) {
		return err
	}
	if own != nil {
		if used, err := c.usesSecret(ctx); used || err != nil {
			return err
		}
	}
	secret := h.Secret
	if c.durable == nil {
		c.hashKeys.Known.Store(&secret)
		return nil
	}
	err = c.durable.ReplaceHashKey(ctx, &secret)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, durable.ErrNewer) {
		return nil // another process has put its own
	}
	return err
}

// findable reports whether requests can find an entry here: whether its hashes of credentials, if it has any, are made with the secret that counts now.
// It asks each time, for another import may have put a secret of its own in the meantime:
//
//	we: take ours   they: find it unused, take theirs   we: find theirs, leave the entry
func (m *importer) findable(ctx context.Context, e *stored.Entry) (bool, error) {
	if !hashesCredentials(e) {
		return true, nil
	}
	own, _, err := m.knownHashKey(ctx)
	return own != nil && m.check == transfer.CheckOf(own), err
}

// usesSecret reports whether something that is stored has a hash of credentials. It counts as such if the store cannot say.
func (c *Cache) usesSecret(ctx context.Context) (used bool, err error) {
	err = c.store.Each(ctx, nil, func(_ string, set *stored.Variants, _ stored.Updater) bool {
		used = slices.ContainsFunc(set.Entries, hashesCredentials)
		return !used
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return true, nil
	}
	return used, err
}

func hashesCredentials(e *stored.Entry) bool { return slices.ContainsFunc(e.Selectors, rfc9111.Hashed) }

// add puts an entry in, unless something is against it. Its error ends the import.
func (m *importer) add(ctx context.Context, hash [32]byte, e *stored.Entry, body io.Reader) error {
	at := durable.RecordKeyOf(hash)
	size := e.Body.Size()
	findable, err := m.findable(ctx, e)
	switch {
	case m.closed.Load():
		return errCacheClosed
	case err != nil:
		return err
	case size > m.maxEntry:
		m.report.skip(SkipTooLarge)
		return nil
	case !findable:
		m.report.skip(SkipSecret)
		return nil
	case m.invalidatedHere(e):
		m.report.skip(SkipInvalidated)
		return nil
	}
	if !m.policy.ReplayCookies {
		e.Header, _ = e.Header.WithoutCookies()
	}
	var why Skip
	if m.durable != nil {
		why, err = m.addDurable(ctx, at, e, size, body)
	} else {
		why, err = m.addToMemory(ctx, at, e, size, body)
	}
	switch {
	case errors.Is(err, transfer.ErrVoid): // and no io.ErrUnexpectedEOF, which a store may return whose connection has ended
		m.report.skip(SkipBodyLost)
		return nil
	case errors.Is(err, store.ErrTooLarge):
		m.report.skip(SkipTooLarge)
		return nil
	case errors.Is(err, durable.ErrOvertaken):
		m.report.skip(SkipInvalidated)
		return nil
	case errors.Is(err, durable.ErrUnfit):
		m.report.skip(SkipUnfit)
		return nil
	case errors.Is(err, durable.ErrNewer): // the record that is there, or a generation, must stay as it is
		m.report.skip(SkipNewer)
		return nil
	case err != nil:
		return err
	}
	if why != "" {
		m.report.skip(why)
		return nil
	}
	m.report.moved(size)
	return nil
}

// invalidatedHere reports whether an entry has been invalidated in this process since it was requested, or since the import began.
func (m *importer) invalidatedHere(e *stored.Entry) bool {
	return m.history.After(e.Requested, e.Tags, e.URL) || m.history.Since(m.began, e.Tags) ||
		m.history.FilteredSince(m.began, func() string { return e.URL }, e.Requested)
}

// addToMemory reads the body and puts the entry under its key, or under the hash of it until a request comes with the key.
func (m *importer) addToMemory(ctx context.Context, at stored.RecordKey, e *stored.Entry, size int64, body io.Reader) (why Skip, err error) {
	bytes, err := readBody(body, size)
	if err != nil {
		return "", err
	}
	e.Body, e.Record = stored.Content{Bytes: bytes}, nil
	if e.FromFuture(time.Now()) {
		e.InitialAge = stored.Longest // its age cannot be known
	}
	e.Derive()
	key, known := m.keys[at.Hash]
	if !known {
		key = at.Name
		m.imported.Store(true) // before it can be found
	}
	if e.Search != nil {
		m.searches.Store(true)
	}
	return why, m.memory.Update(ctx, key, m.placing(e, &why))
}

// addDurable stores the body and puts the entry into the record of its key. A small body goes with it.
func (m *importer) addDurable(ctx context.Context, at stored.RecordKey, e *stored.Entry, size int64, body io.Reader) (why Skip, err error) {
	e.Record.Key = &at
	there, err := m.durable.At(ctx, at)
	if err != nil {
		return "", err
	}
	if m.placing(e, &why)(there); why != "" {
		return why, nil
	}
	if size <= durable.WholeBody {
		e.Body.Chunks = nil
		e.Body.Bytes, err = readBody(body, size)
	} else {
		e.Body.Chunks, err = m.storeBody(ctx, at, e, body, size)
	}
	if err != nil {
		return "", err
	}
	e.Derive()
	fresh := e.Body.Chunks
	why = SkipNewer // if the record never comes to be changed
	err = m.durable.AddForeign(ctx, at, e, func(e *stored.Entry) func(*stored.Variants) *stored.Variants { return m.placing(e, &why) })
	if fresh != nil && (err != nil || why != "") {
		m.durable.Discard(fresh)
	}
	if err == nil && why == "" && m.invalidatedHere(e) { // a byte store has no lock; see commit
		return SkipInvalidated, m.durable.DeleteEntry(ctx, e)
	}
	return why, err
}

// storeBody puts a large body into chunks.
func (m *importer) storeBody(ctx context.Context, at stored.RecordKey, e *stored.Entry, body io.Reader, size int64) (*stored.Chunks, error) {
	w := m.durable.NewBodyWriter(at, e)
	if err := w.ReadFrom(ctx, io.LimitReader(body, size)); err != nil {
		w.Abort()
		return nil, err
	}
	p, err := w.Finish(ctx)
	if err == nil && p.Size != size {
		err = transfer.ErrVoid
	}
	if err != nil {
		w.Abort()
		return nil, err
	}
	return p, nil
}

// placing returns what puts an entry among those that are stored, unless one is there that was requested as late, or it has been invalidated: why says so.
func (m *importer) placing(e *stored.Entry, why *Skip) func(*stored.Variants) *stored.Variants {
	return func(old *stored.Variants) *stored.Variants {
		if *why = ""; m.invalidatedHere(e) {
			*why = SkipInvalidated
			return old
		}
		next := withForeign(old, e, m.maxEntry)
		if next == old {
			*why = SkipNewer
		}
		return next
	}
}

// withForeign returns set with an entry from elsewhere, or set itself if it has one in its place that was requested as late.
func withForeign(set *stored.Variants, e *stored.Entry, limit int64) *stored.Variants {
	for _, old := range set.All() {
		if old.SameVariant(e) && !old.Requested.Before(e.Requested) {
			return set
		}
	}
	return set.With(e, limit)
}

// readBody reads a body of a size, which memory is taken for only as it comes.
func readBody(body io.Reader, size int64) ([]byte, error) {
	const first = 1 << 20
	if size == 0 {
		return nil, nil
	}
	bytes := make([]byte, 0, min(size, first))
	for int64(len(bytes)) < size {
		if len(bytes) == cap(bytes) {
			bytes = append(make([]byte, 0, min(size, 2*int64(cap(bytes)))), bytes...)
		}
		n, err := io.ReadFull(body, bytes[len(bytes):cap(bytes)])
		bytes = bytes[:len(bytes)+n]
		if err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = transfer.ErrVoid
			}
			return nil, err
		}
	}
	return bytes, nil
}

// adopt puts what was imported under the hash of a key in memory under the key itself, now that a request has it. It reports whether there was something.
//
// What is invalidated while it is in neither place is found in the history, from a moment before it was taken out:
//
//	we: take it out   they: note, delete   we: find the note
//
// A removal that has been noted before that moment and goes on may have looked under the one key, and find nothing under the other one.
// While there is one, nothing is taken out: the request goes to the origin.
//
//	they: note, look under the key   we: take it out, put it under the key   they: look under the hash
func (c *Cache) adopt(ctx context.Context, key string) bool {
	at := durable.RecordKeyOf(durable.HashKey(c.policy.Shared, key))
	if c.memory.Peek(at.Name) == nil {
		return false
	}
	began := c.history.Now()
	if c.removals.Load() > 0 {
		return false
	}
	var taken *stored.Variants
	c.memory.Update(ctx, at.Name, func(set *stored.Variants) *stored.Variants {
		taken = set
		return nil
	})
	if taken == nil {
		return false // another request has adopted it
	}
	c.memory.Update(ctx, key, func(set *stored.Variants) *stored.Variants {
		for _, e := range taken.Entries {
			if !c.history.Since(began, e.Tags) && !c.history.FilteredSince(began, func() string { return e.URL }, e.Requested) {
				set = withForeign(set, e, c.maxEntry)
			}
		}
		return set
	})
	return true
}

// peekMemory returns what a lookup under a key would find in memory, and changes nothing.
func (c *Cache) peekMemory(key []byte) *stored.Variants {
	set := c.memory.Peek(string(key))
	if set == nil && c.imported.Load() {
		set = c.memory.Peek(durable.RecordKeyOf(durable.HashKey(c.policy.Shared, string(key))).Name)
	}
	return set
}

// adoptFor does so for a lookup or a change that has a key, where something may have been imported.
func (c *Cache) adoptFor(r *http.Request, key []byte) bool {
	return c.imported.Load() && c.adopt(r.Context(), string(key))
}

// updateBoth changes what is stored under a key, and what was imported into memory under the hash of it.
func (c *Cache) updateBoth(ctx context.Context, key []byte, change func(*stored.Variants) *stored.Variants) error {
	if c.imported.Load() {
		if err := c.memory.Update(ctx, durable.RecordKeyOf(durable.HashKey(c.policy.Shared, string(key))).Name, change); err != nil {
			return err
		}
	}
	return c.store.Update(ctx, string(key), change)
}
