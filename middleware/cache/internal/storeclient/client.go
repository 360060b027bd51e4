package storeclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plyhttp/ply/internal/timelimit"
	"github.com/plyhttp/ply/store"
)

// Client calls a store in such a way that no request suffers from its faults. A call that does not return in time, whatever the store makes
// of its context, or that panics, is an error. A store that fails again and again is left alone until it answers a probe:
// as a whole if it cannot be read, and for changes only if only these hang.
//
// Each call runs on a goroutine of its own, which ends when the store returns. A call that hangs keeps its goroutine and its slot; lanes bound both.
// No lock is held while the store is called: a lane's slots and its breaker are all that calls share.
// The cache makes one, and its Close closes it. It is safe for concurrent use once OnAnswer is set: nothing in it changes afterwards but the lanes.
type Client struct {
	store         store.Store
	multi         store.MultiGetter // store, if it is one, or nil
	Timeout       time.Duration
	Reads         *lane
	Writes        *lane
	newer         store.Record // stands for a record that a later version of the store has written, so that it cannot be read
	ignoreBreaker bool         // the store is called though it is down: no request waits for it
	OnAnswer      func()       // called when the store has answered; must return at once
}

// A lane has the calls of one sort, those that read or those that change something. Each has slots of its own, so that neither sort waits for the other.
// New makes the two lanes. The clients that Patient returns share them, and with them one Close.
type lane struct {
	slots   chan struct{} // holds an element for each call that has not returned; the goroutine of the call removes it
	Breaker breaker
	probe   func(context.Context) error
}

const (
	// maxStoreReads and maxStoreWrites bound the calls that are under way, those that hang included.
	maxStoreReads  = 192
	maxStoreWrites = 64
)

var (
	// ErrStoreHangs is the error of a call that the store did not answer in time, ErrStoreDown of one that was not made because the store has failed before,
	// and ErrCallerGone of one whose caller did not wait.
	ErrStoreHangs       = errors.New("the store did not return in time")
	ErrStoreDown        = errors.New("the store has failed before and is left alone for now")
	ErrCallerGone       = errors.New("the caller has gone")
	errWrongRecordCount = errors.New("the store returned another number of records than it was asked for")
)

// New returns a client of s. Probes read the record under the key probe. newer stands for a record that s itself cannot read.
func New(s store.Store, timeout time.Duration, probe string, newer store.Record) *Client {
	g := &Client{store: s, Timeout: timeout, newer: newer, OnAnswer: func() {}}
	g.multi, _ = store.As[store.MultiGetter](s)
	g.Reads = &lane{slots: make(chan struct{}, maxStoreReads), probe: func(ctx context.Context) error {
		_, err := s.Get(ctx, probe)
		return err
	}}
	g.Writes = &lane{slots: make(chan struct{}, maxStoreWrites), probe: func(ctx context.Context) error {
		// The record has expired, so it is not kept.
		return s.Put(ctx, probeKey, store.Record{Data: []byte("probe"), Expires: time.Unix(1, 0), Kind: store.KindSetup})
	}}
	return g
}

// probeKey is the key of a record that is never there.
const probeKey = "p1.probe"

// Patient returns a client for what no request waits for: its calls may take longer, and are made though the store is down. It shares the lanes.
func (g *Client) Patient(timeout time.Duration) *Client {
	p := *g
	p.Timeout, p.ignoreBreaker = timeout, true
	return &p
}

// Within returns a context in which all calls of a request together take no longer than the timeout. The caller must call its End.
func (g *Client) Within(ctx context.Context) *timelimit.Context {
	return timelimit.Guarded(ctx, g.Timeout, ErrStoreHangs)
}

// limit returns ctx if Within has made it, and a call in it needs no limit of its own. Otherwise it makes one, which the caller must end.
func (g *Client) limit(ctx context.Context) (l *timelimit.Context, end bool) {
	if l, ok := ctx.(*timelimit.Context); ok && l.Limit <= g.Timeout && timelimit.IsGuarded(l) {
		return l, false
	}
	return g.Within(ctx), true
}

// Get returns the records under some keys.
func (g *Client) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	r := &reading{client: g}
	r.keys = append(r.names[:0], keys...)
	if err := g.guard(ctx, g.Reads, r); err != nil {
		return nil, err
	}
	return r.records, nil
}

// A reading is a call that reads some records. It has room for those of a lookup: its own and its alike, and the generations of two tags.
type reading struct {
	outcome
	client  *Client
	keys    []string
	records []store.Record
	names   [4]string
	found   [4]store.Record
}

func (r *reading) call(ctx context.Context) error {
	g := r.client
	if g.multi != nil && len(r.keys) > 1 {
		records, err := g.multi.GetMulti(ctx, r.keys)
		if err == nil && len(records) != len(r.keys) {
			err = errWrongRecordCount
		}
		if !errors.Is(err, store.ErrNewer) {
			r.records = records
			return err
		}
	}
	if r.records = r.found[:0]; len(r.keys) > len(r.found) {
		r.records = make([]store.Record, 0, len(r.keys))
	}
	for _, key := range r.keys {
		record, err := g.store.Get(ctx, key)
		if errors.Is(err, store.ErrNewer) {
			record, err = g.newer, nil // it is lost itself, but not the other records
		}
		if err != nil {
			return err
		}
		r.records = append(r.records, record)
	}
	return nil
}

// Put stores a record. The caller must not change the record's bytes afterwards: a store that hangs may still read them.
func (g *Client) Put(ctx context.Context, key string, r store.Record) error {
	return g.change(ctx, func(ctx context.Context) error { return g.store.Put(ctx, key, r) })
}

// Delete removes some records, whatever their versions are.
// It stops at the first error; the keys before that are gone.
func (g *Client) Delete(ctx context.Context, keys ...string) error {
	return g.change(ctx, func(ctx context.Context) error {
		for _, key := range keys {
			if err := g.store.Delete(ctx, key, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteVersion removes a record unless it has changed.
func (g *Client) DeleteVersion(ctx context.Context, key, version string) error {
	return g.change(ctx, func(ctx context.Context) error { return g.store.Delete(ctx, key, version) })
}

func (g *Client) change(ctx context.Context, f func(context.Context) error) error {
	return g.guard(ctx, g.Writes, &changing{f: f})
}

// changing is a call that changes something.
type changing struct {
	outcome
	f func(context.Context) error
}

func (c *changing) call(ctx context.Context) error { return c.f(ctx) }

// guard makes one call of the store, unless it is left alone, and learns from the outcome.
// It blocks no longer than the context and the timeout allow, whatever the store does. The caller holds no lock.
func (g *Client) guard(ctx context.Context, l *lane, t task) error {
	began := time.Now()
	if g.skips(l, began) {
		return ErrStoreDown
	}
	// What a retry with more patience finds out says nothing about calls that a request waits for, so the breaker does not hear of it.
	err := g.do(ctx, l, t)
	if !g.ignoreBreaker {
		g.observe(l, err, began, time.Now())
	}
	if err == nil {
		g.OnAnswer()
	}
	return err
}

// skips reports whether the store is not to be called now, and starts a probe if it is time for one. The probe ends with its call, or with the timeout;
// Close waits for it.
// probes has been raised already when it starts the probe (claim), so that Close cannot miss it.
func (g *Client) skips(l *lane, now time.Time) bool {
	if g.ignoreBreaker {
		return g.Reads.Breaker.isClosed()
	}
	for _, l := range [...]*lane{g.Reads, l} { // a store that cannot be read is not written to either
		if probe, down := l.Breaker.state(now); down {
			// state says so to one caller for each probe that is due. None waits for it, not even that one.
			if probe {
				go g.probe(l)
			}
			return true
		}
	}
	return false
}

// Failing reports whether the latest call of either sort has failed.
func (g *Client) Failing() bool { return g.Reads.Breaker.failing() || g.Writes.Breaker.failing() }

// observe tells the breaker the outcome of a call. That a record has changed, is too large or newer, or that the caller has gone says nothing against the store.
// A store that refuses a change at once is there; for one that refuses to be read, a probe finds out.
// It runs on the caller's goroutine, after Call. A store that answers later, when the caller has its error, is not heard.
func (g *Client) observe(l *lane, err error, began, now time.Time) {
	switch {
	case err == nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrNewer):
		l.Breaker.succeeded()
	case errors.Is(err, ErrCallerGone):
	case errors.Is(err, ErrStoreHangs) && now.Sub(began) < g.Timeout/2: // earlier calls of the same request have used up the time
	case errors.Is(err, ErrStoreHangs):
		l.Breaker.hung(began, now)
	case l == g.Writes:
		l.Breaker.refused()
	case l.Breaker.refusedRead():
		go g.probe(l)
	}
}

// A task is a call of the store. Its goroutine writes what comes of it until it closes done, and its caller reads that afterwards.
type task interface {
	call(context.Context) error
	result() *outcome
}

// outcome is the part of a task that all have.
type outcome struct {
	err  error
	done chan struct{}
}

func (o *outcome) result() *outcome { return o }

// Call runs f, which may call the store several times, as do runs a task.
func Call(ctx context.Context, g *Client, l *lane, f func(context.Context) error) error {
	return g.do(ctx, l, &changing{f: f})
}

// do runs a task on a goroutine of its own and waits for it no longer than the timeout. The goroutine, and the slot, stay while the store hangs,
// and what comes of the task then is dropped:
//
//	caller: takes a slot, starts the goroutine   timeout: the caller returns ErrStoreHangs   store returns: the goroutine gives the slot back
func (g *Client) do(ctx context.Context, l *lane, t task) error {
	limit, end := g.limit(ctx)
	if end {
		defer limit.End()
	}
	if !l.enter(limit) {
		return ContextError(limit)
	}
	o := t.result()
	o.done = make(chan struct{})
	go func() {
		// It runs last, after done is closed, also if the store ends the goroutine. So a full lane means that many calls are truly under way.
		defer func() { <-l.slots }()
		o.err = errOf(limit, t)
		close(o.done)
	}()
	if !limit.Wait(o.done) {
		return ContextError(limit)
	}
	if o.err != nil && limit.Err() != nil {
		return ContextError(limit) // the store obeys its context, and its error says so in its own words
	}
	return o.err
}

// enter takes a slot. A full lane counts as a store that hangs, and costs the caller no more than that does.
func (l *lane) enter(limit *timelimit.Context) bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-limit.Done():
		return false
	}
}

// errOf makes the call, and turns its panic into an error.
func errOf(ctx context.Context, t task) (err error) {
	defer recovered(&err)
	return t.call(ctx)
}

func recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("a panic: %v", v)
	}
}

// ContextError says why a call was not waited for: the store hangs, or the caller has gone.
func ContextError(ctx context.Context) error {
	if l, ok := ctx.(*timelimit.Context); ok && l.Exceeded() {
		return ErrStoreHangs
	}
	if cause := context.Cause(ctx); cause != ErrStoreHangs {
		return fmt.Errorf("%w: %w", ErrCallerGone, cause)
	}
	return ErrStoreHangs
}

// Recovered runs call, and turns its panic into an error.
func Recovered[T any](ctx context.Context, call func(context.Context) (T, error)) (result T, err error) {
	defer recovered(&err)
	return call(ctx)
}

// Close keeps further calls away from the store, whose owner may close it then, and waits for those that are under way,
// no longer than a call may take. Bodies that are still read from the store end as if it were down.
// It keeps each slot that it gets, so that a call that has passed skips before, and comes late, waits for a slot until its timeout.
// A second call returns at once, and does not wait.
func (g *Client) Close() {
	if !g.Reads.Breaker.close() || !g.Writes.Breaker.close() {
		return
	}
	g.Reads.Breaker.probes.Wait()
	g.Writes.Breaker.probes.Wait()
	timer := time.NewTimer(g.Timeout)
	defer timer.Stop()
	// Slots that are taken here are never given back, so when all are taken, no call is under way and none can begin.
	for _, l := range [...]*lane{g.Reads, g.Writes} {
		for range cap(l.slots) {
			select {
			case l.slots <- struct{}{}:
			case <-timer.C:
				return
			}
		}
	}
}

// probe finds out whether a store is there that was down, or may be. No request waits for it. A store that refuses a change at once is there.
// It runs on a goroutine of its own, which ends with the call's timeout at the latest. claim has raised probes for it.
func (g *Client) probe(l *lane) {
	defer l.Breaker.probes.Done()
	err := Call(context.Background(), g, l, l.probe)
	up := err == nil || errors.Is(err, store.ErrNewer) || l == g.Writes && !errors.Is(err, ErrStoreHangs)
	l.Breaker.probed(up, time.Now())
	if up {
		g.OnAnswer()
	}
}
