package cache

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/store"
)

// A secret goes into the hashes of credentials that a response varies on, so that nobody who reads the store can try them out.
type secret [32]byte

// secrets is where a byte store's secret comes from: all processes that share the store need the same, after a restart, too.
// Unless the user gives one, the first process that needs it puts one into the store.
//
// Its record is, behind its frame, the secret.
type secrets struct {
	known   atomic.Pointer[secret]
	checked atomic.Int64 // when the store last had it, in nanoseconds since 1970
	failed  atomic.Int64 // when the store last failed to give or take it
	given   bool         // by the user

	mu       sync.Mutex    // guards settling
	settling chan struct{} // closed when the store has given or taken it, or has failed to; nil if nobody asks it
}

const (
	setupKind = 'S'
	setupKey  = "s1.secret"

	// setupInterval is how often a process looks whether the secret is still there: a store may drop what is not used,
	// and another process would make a new one.
	setupInterval = 10 * time.Minute

	// setupPause is how long a store is left in peace that can neither give nor take a secret.
	setupPause = time.Second
)

func newSecret() *secret {
	s := new(secret)
	rand.Read(s[:])
	return s
}

// give sets the user's own secret.
func (s *secrets) give(bytes []byte) {
	given := secret(sha256.Sum256(bytes))
	s.known.Store(&given)
	s.given = true
}

func (s *secret) record() store.Record {
	return store.Record{Data: seal(append(framed(nil), s[:]...), setupKind), Kind: store.KindSetup, Label: "secret of the hashes of credentials"}
}

// readSecret reads the secret's record. It is nil if there is none that can be read.
func readSecret(r store.Record) (*secret, error) {
	if r.Version == "" {
		return nil, nil
	}
	payload, err := unseal(r.Data, setupKind)
	if err != nil || len(payload) != len(secret{}) {
		return nil, err
	}
	s := secret(payload)
	return &s, nil
}

// readySecret sees to it that the secret is known. Without it, what varies on credentials is neither found nor stored.
func (d *durable) readySecret(ctx context.Context) error {
	if d.secrets.given {
		return nil
	}
	now := time.Now().UnixNano()
	checked := d.secrets.checked.Load()
	switch {
	case d.secrets.known.Load() == nil && now-d.secrets.failed.Load() < int64(setupPause):
	case d.secrets.known.Load() == nil:
		return d.awaitSecret(ctx)
	case now-checked > int64(setupInterval) && d.secrets.checked.CompareAndSwap(checked, now):
		d.behind.start(func(ctx context.Context) { d.settleSecret(ctx) })
	}
	return nil
}

// awaitSecret waits for the secret for half of the time that a lookup has: the rest is for what is looked for. The store may take longer.
func (d *durable) awaitSecret(ctx context.Context) error {
	s := &d.secrets
	s.mu.Lock()
	settled := s.settling
	var failed error // to be read once settled is closed, by the one who has it settled
	if settled == nil {
		settled = make(chan struct{})
		if !d.behind.start(func(ctx context.Context) {
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.settling = nil
				close(settled)
			}()
			if failed = d.settleSecret(ctx); failed != nil {
				s.failed.Store(time.Now().UnixNano())
			}
		}) {
			s.mu.Unlock()
			return errBusy
		}
		s.settling = settled
	}
	s.mu.Unlock()
	enough := time.NewTimer(d.guard.timeout / 2)
	defer enough.Stop()
	select {
	case <-settled:
		return failed
	case <-enough.C:
		return errStoreHangs
	case <-ctx.Done():
		return late(ctx)
	}
}

// settleSecret takes the secret from the store. If there is none it puts one there, the one that it has been using if there is one.
func (d *durable) settleSecret(ctx context.Context) error {
	for range maxAttempts {
		records, err := d.guard.get(ctx, setupKey)
		if err != nil {
			return err
		}
		s, err := readSecret(records[0])
		if errors.Is(err, errNewer) {
			return err
		}
		if err = nil; s == nil {
			if s = d.secrets.known.Load(); s == nil {
				s = newSecret()
			}
			r := s.record()
			r.Version = records[0].Version // of a damaged one
			err = d.guard.put(ctx, setupKey, r)
		}
		if errors.Is(err, store.ErrConflict) {
			continue // another process has put its own
		}
		if err != nil {
			return err
		}
		d.secrets.known.Store(s)
		d.secrets.checked.Store(time.Now().UnixNano())
		return nil
	}
	return errContended
}
