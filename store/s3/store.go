package s3

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	r, err := s.get(ctx, key)
	return r, fail("get", err)
}

func (s *Store) get(ctx context.Context, key string) (store.Record, error) {
	if err := storetext.CheckKey("s3", key); err != nil {
		return store.Record{}, err
	}
	got, err := s.fetch(ctx, s.name(key), "", s.longest())
	if err != nil || got.etag == "" {
		return store.Record{}, err
	}
	return s.record(key, got, time.Now())
}

// longest is how many bytes an object may have that is read.
func (s *Store) longest() int64 { return int64(s.opt.MaxRecordBytes + maxLine) }

// record returns the record in an object, the zero Record if its time is over or if it is none of this key.
func (s *Store) record(key string, got fetched, now time.Time) (store.Record, error) {
	h, is := parse(key, got.value)
	switch {
	case is == newer:
		return store.Record{}, store.ErrNewer
	case is != record || h.over(now):
		return store.Record{}, nil
	case h.size > int64(s.opt.MaxRecordBytes):
		return store.Record{}, store.ErrTooLarge
	}
	data := got.value[h.data:]
	if int64(len(data)) != h.size || crc32.Checksum(data, castagnoli) != h.sum {
		return store.Record{}, nil // cut off or damaged on its way, or where it lies
	}
	return store.Record{
		Data: data, Version: version{h.nonce, h.expires, got.etag}.String(), Expires: h.expires, Kind: h.kind, Owner: h.owner,
	}, nil
}

// Put implements [store.Store]. A record takes one request if nothing, or the version that it replaces, is there; two more if what is there is expired or deleted.
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	return fail("put", s.put(ctx, key, r))
}

func (s *Store) put(ctx context.Context, key string, r store.Record) error {
	if err := storetext.CheckKey("s3", key); err != nil {
		return err
	}
	switch {
	case r.Owner != "" && !storetext.ValidKey(r.Owner):
		return fmt.Errorf("the owner %.140q is not a key", r.Owner)
	case len(r.Data) == 0:
		return errors.New("a record has at least one byte")
	case len(r.Data) > s.opt.MaxRecordBytes:
		return store.ErrTooLarge
	}
	nonce := newNonce()
	value := encode(key, nonce, r)
	if r.Version == "" {
		return s.create(ctx, key, nonce, value)
	}
	v, ok := parseVersion(r.Version)
	if !ok || v.over(time.Now()) {
		return store.ErrConflict
	}
	err := s.write(ctx, s.name(key), value, v.etag)
	if !errors.Is(err, errPrecondition) {
		return err
	}
	_, ours, err := s.look(ctx, key, nonce)
	if err == nil && !ours {
		err = store.ErrConflict
	}
	return err
}

// create writes an object where there is none, or one that is as good as none: a deleted or expired record, or what no ply has written.
func (s *Store) create(ctx context.Context, key, nonce string, value []byte) error {
	etag := ""
	for range tries {
		err := s.write(ctx, s.name(key), value, etag)
		if !errors.Is(err, errPrecondition) {
			return err
		}
		there, ours, err := s.look(ctx, key, nonce)
		switch {
		case err != nil || ours:
			return err
		case there.present:
			return store.ErrConflict
		}
		etag = there.etag
	}
	return store.ErrConflict
}

// thing is what look found under a key.
type thing struct {
	etag    string // "" if there is nothing
	present bool   // it is a record, one that is too large, or what a later version has written
}

// look reads what is under a key when a condition was not met. That may be what the same call has written: the answer to its first attempt got lost,
// and the second one found what the first had done. The nonce shows it. The object is read to its end, so that a damaged one gives way to the next Put.
func (s *Store) look(ctx context.Context, key, nonce string) (_ thing, ours bool, _ error) {
	got, err := s.fetch(ctx, s.name(key), "", s.longest())
	if err != nil || got.etag == "" {
		return thing{}, false, err
	}
	h, _ := parse(key, got.value)
	r, err := s.record(key, got, time.Now())
	return thing{etag: got.etag, present: r.Version != "" || err != nil}, h.nonce == nonce, nil
}

// Delete implements [store.Store]. With a version it writes an object without data in the place of the record, on the condition that this is still there:
// that is right with every server that has conditional writes, while not all heed the condition of a DELETE, or heed it without a gap between looking and deleting.
// The next record replaces the object, and [Store.DeleteExpired] or a lifecycle rule removes it. Without a version, Delete deletes the object.
func (s *Store) Delete(ctx context.Context, key, version string) error {
	return fail("delete", s.delete(ctx, key, version))
}

func (s *Store) delete(ctx context.Context, key, version string) error {
	if err := storetext.CheckKey("s3", key); err != nil {
		return err
	}
	if version == "" {
		return s.remove(ctx, s.name(key), "")
	}
	nonce := newNonce()
	if v, ok := parseVersion(version); ok {
		err := s.write(ctx, s.name(key), encode(key, nonce, store.Record{Expires: time.Now()}), v.etag)
		if !errors.Is(err, errPrecondition) {
			return err
		}
	}
	there, _, err := s.look(ctx, key, nonce)
	if err == nil && there.present {
		err = store.ErrConflict
	}
	return err
}

// GetMulti implements [store.MultiGetter]. It is a request for each key, several at a time.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	err := each(ctx, len(keys), func(ctx context.Context, i int) (err error) {
		records[i], err = s.get(ctx, keys[i])
		return err
	})
	if err != nil {
		return nil, fail("get", err)
	}
	return records, nil
}

const parallel = 16 // requests of one call at a time

// each calls f with 0 to n-1, several at a time, and returns the first error. It ends the context of those that are under way then, and waits for them.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	var failed sync.Once
	var first error
	next := make(chan int)
	for range min(n, parallel) {
		all.Go(func() {
			for i := range next {
				if err := guarded(ctx, i, f); err != nil {
					failed.Do(func() { first = err; cancel() })
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	all.Wait()
	if first == nil {
		return ctx.Err()
	}
	return first
}

// guarded makes an error of a panic: what guards a store against panics sees its own goroutine only.
func guarded(ctx context.Context, i int, f func(ctx context.Context, i int) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the client panicked: %v", p)
		}
	}()
	return f(ctx, i)
}
