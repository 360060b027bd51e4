package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
)

// operation is what is measured.
type operation int

const (
	hit      operation = iota // from the store, the body read
	miss                      // from the origin, the body read, until the store has it, too
	validate                  // confirmed by the origin, the body from the store, until the store has the new header
	operations
)

var titles = [operations]string{
	hit: "hit", miss: "miss and store", validate: "304 revalidation",
}

// measurement is what each operation takes.
type measurement [operations]time.Duration

// user is a caller with a cache of its own.
type user struct {
	origin *origin
	cache  *cache.Cache
	client http.RoundTripper
	kept   chan error // one for each response that was to be stored: nil if it is
	opened opened
}

func newUser(k kind, n size) (*user, error) {
	opened, err := k.open()
	if err != nil {
		return nil, err
	}
	u := &user{origin: &origin{size: n}, kept: make(chan error, 16), opened: opened}
	u.cache, err = cache.New(cache.Options{
		Store: opened.store, MaxEntryBytes: int64(2 * sizes[len(sizes)-1]),
		StoreTimeout: 20 * time.Second, // a busy machine is no reason to leave anything out
		Trace: &cache.Trace{
			Stored:    func(*cache.Entry) { u.tell(nil) },
			NotStored: func(_ *http.Request, reason string) { u.tell(errors.New("not stored: " + reason)) },
			Fault:     func(operation string, err error) { u.tell(fmt.Errorf("%s: %w", operation, err)) },
		},
	})
	if err != nil {
		return nil, errors.Join(err, opened.close())
	}
	u.client = u.cache.Middleware(u.origin)
	return u, nil
}

// tell never waits: after several faults, one more makes no difference.
func (u *user) tell(err error) {
	select {
	case u.kept <- err:
	default:
	}
}

func (u *user) close() error { return errors.Join(u.cache.Close(), u.opened.close()) }

// get reads the body at a path, and says what the cache did.
func (u *user) get(ctx context.Context, path string, to io.Writer) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://origin.test"+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := u.client.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(to, resp.Body); err != nil {
		return "", err
	}
	status, _ := cache.StatusOf(resp)
	return status.Outcome(), nil
}

// wants is get for a body that is checked, and an outcome that must be.
func (u *user) wants(ctx context.Context, path, outcome string) error {
	var s sink
	got, err := u.get(ctx, path, &s)
	switch {
	case err != nil:
		return err
	case got != outcome:
		return fmt.Errorf("%s is a %s, not a %s", path, got, outcome)
	case !s.is(path, u.origin.size):
		return fmt.Errorf("%s has a wrong body of %d bytes", path, s.n)
	}
	return nil
}

// settled waits until the store has the response.
func (u *user) settled(ctx context.Context) error {
	select {
	case err := <-u.kept:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// measure measures all operations with an empty store.
func measure(ctx context.Context, k kind, n size, length time.Duration) (m measurement, err error) {
	u, err := newUser(k, n)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute+10*length)
	defer cancel()
	if m[miss], err = u.misses(ctx, length); err != nil {
		return m, err
	}
	if m[hit], err = u.hits(ctx, length); err != nil {
		return m, err
	}
	m[validate], err = u.validations(ctx, length)
	return m, err
}

func (u *user) hits(ctx context.Context, length time.Duration) (time.Duration, error) {
	if err := errors.Join(u.wants(ctx, "/fresh/hit", "miss"), u.settled(ctx), u.wants(ctx, "/fresh/hit", "hit")); err != nil {
		return 0, err
	}
	return repeat(length, func(int) error { return u.wants(ctx, "/fresh/hit", "hit") })
}

func (u *user) misses(ctx context.Context, length time.Duration) (time.Duration, error) {
	return repeat(length, func(i int) error { return errors.Join(u.wants(ctx, fmt.Sprint("/fresh/", i), "miss"), u.settled(ctx)) })
}

func (u *user) validations(ctx context.Context, length time.Duration) (time.Duration, error) {
	if err := errors.Join(u.wants(ctx, "/stale/", "miss"), u.settled(ctx)); err != nil {
		return 0, err
	}
	return repeat(length, func(int) error { return errors.Join(u.wants(ctx, "/stale/", "revalidated"), u.settled(ctx)) })
}

// repeat calls f for so long, and three times at least, and returns what a call takes.
func repeat(length time.Duration, f func(i int) error) (time.Duration, error) {
	begun := time.Now()
	for i := 0; ; i++ {
		if took := time.Since(begun); i >= 3 && took >= length {
			return took / time.Duration(i), nil
		}
		if err := f(i); err != nil {
			return 0, err
		}
	}
}
