package durable

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// HashKeys has the key of the hashes of credentials: all processes that share a store need the same, after a restart, too.
// Unless the user gives one, the first process that needs it puts one into the store. The record has the key after its frame.
//
// At most one worker settles the key at a time; lookups wait for it by the channel settling.
type HashKeys struct {
	Known   atomic.Pointer[stored.HashKey]
	checked atomic.Int64 // when the store last had the key, in nanoseconds since 1970
	failed  atomic.Int64 // when the store last failed to return or take it
	given   bool         // by the user

	mu       sync.Mutex    // guards settling
	settling chan struct{} // closed when the store has returned or taken the key, or has failed to; nil if no worker is at it
}

const (
	setupKind = 'S'
	setupKey  = "s1.secret"

	// setupInterval is how often a process checks that the key is still there: a store may drop what is not used,
	// and another process would make a new one.
	setupInterval = 10 * time.Minute

	// setupPause is for how long a store is left alone that can neither return nor take a key.
	setupPause = time.Second
)

// NewHashKey returns a random key.
func NewHashKey() *stored.HashKey {
	s := new(stored.HashKey)
	rand.Read(s[:])
	return s
}

// Set sets the user's own key. It is called before the first lookup.
func (s *HashKeys) Set(bytes []byte) {
	given := stored.HashKey(sha256.Sum256(bytes))
	s.Known.Store(&given)
	s.given = true
}

func hashKeyRecord(s *stored.HashKey) store.Record {
	return store.Record{Data: Seal(append(Framed(nil), s[:]...), setupKind), Kind: store.KindSetup, Label: "secret of the hashes of credentials"}
}

// readHashKey decodes the record of the key. It returns nil if there is none, or a damaged one.
func readHashKey(r store.Record) (*stored.HashKey, error) {
	if r.Version == "" {
		return nil, nil
	}
	payload, err := Unseal(r.Data, setupKind)
	if err != nil || len(payload) != len(stored.HashKey{}) {
		return nil, err
	}
	s := stored.HashKey(payload)
	return &s, nil
}

// ensureHashKey makes the key known, if it is not. Without it, what varies on credentials is neither found nor stored.
func (d *Store) ensureHashKey(ctx context.Context) error {
	if d.HashKeys.given {
		return nil
	}
	now := time.Now().UnixNano()
	checked := d.HashKeys.checked.Load()
	switch {
	case d.HashKeys.Known.Load() == nil && now-d.HashKeys.failed.Load() < int64(setupPause):
	case d.HashKeys.Known.Load() == nil:
		return d.awaitHashKey(ctx)
	case now-checked > int64(setupInterval) && d.HashKeys.checked.CompareAndSwap(checked, now):
		d.Workers.Go(func(ctx context.Context) { d.settleHashKey(ctx) })
	}
	return nil
}

// awaitHashKey waits for the key for half of the time that a lookup has: the rest is for the lookup itself. The worker may take longer,
// and ends with its job's limit.
func (d *Store) awaitHashKey(ctx context.Context) error {
	s := &d.HashKeys
	s.mu.Lock()
	settled := s.settling
	var failed error // the first waiter's: its worker writes it before it closes settled
	if settled == nil {
		settled = make(chan struct{})
		if !d.Workers.Go(func(ctx context.Context) {
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.settling = nil
				close(settled)
			}()
			if failed = d.settleHashKey(ctx); failed != nil {
				s.failed.Store(time.Now().UnixNano())
			}
		}) {
			s.mu.Unlock()
			return storeclient.ErrBusy
		}
		s.settling = settled
	}
	s.mu.Unlock()
	enough := time.NewTimer(d.Client.Timeout / 2)
	defer enough.Stop()
	select {
	case <-settled:
		return failed
	case <-enough.C:
		return storeclient.ErrStoreHangs
	case <-ctx.Done():
		return storeclient.ContextError(ctx)
	}
}

// settleHashKey takes the key from the store. If there is none it puts one there: the one that this process has been using, or a new one.
func (d *Store) settleHashKey(ctx context.Context) error {
	for range MaxAttempts {
		records, err := d.Client.Get(ctx, setupKey)
		if err != nil {
			return err
		}
		s, err := readHashKey(records[0])
		if errors.Is(err, ErrNewer) {
			return err
		}
		if err = nil; s == nil {
			if s = d.HashKeys.Known.Load(); s == nil {
				s = NewHashKey()
			}
			r := hashKeyRecord(s)
			r.Version = records[0].Version // of a damaged record
			err = d.Client.Put(ctx, setupKey, r)
		}
		if errors.Is(err, store.ErrConflict) {
			continue // another process has put its own
		}
		if err != nil {
			return err
		}
		d.HashKeys.Known.Store(s)
		d.HashKeys.checked.Store(time.Now().UnixNano())
		return nil
	}
	return ErrContended
}
