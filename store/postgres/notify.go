package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/plyhttp/ply/internal/storetext"
)

const (
	pingEvery = 5 * time.Second       // a connection that hears nothing for so long is tried
	minPause  = 20 * time.Millisecond // between two tries to connect, doubled each time
	maxPause  = time.Second           // and at most this
)

// Notify implements [store.Notifier]: f is called with the keys that another store changes, and with "" when the connection
// that tells of them was lost or is there again. What people change with psql they must tell themselves: NOTIFY "ply_ply", with the schema's name after "ply_".
// f must not call stop.
func (s *Store) Notify(f func(key string)) (stop func()) {
	l := &listener{f: f}
	s.listeners.add(l)
	return func() { s.listeners.remove(l) }
}

// listener is one function that Notify was given.
type listener struct {
	mu sync.Mutex // is held while f runs, so that stop can promise that no call follows
	f  func(key string)
}

func (l *listener) tell(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f(key)
	}
}

// stop waits for a call of f that is under way. No other follows.
func (l *listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.f = nil
}

// listeners are the functions that Notify was given, and the goroutine that listens while there is one.
type listeners struct {
	store *Store

	mu     sync.Mutex // guards the fields below
	all    map[*listener]struct{}
	closed bool
	quit   context.CancelFunc // ends the goroutine; nil while there is none
	wg     sync.WaitGroup
}

func (e *listeners) add(l *listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	if e.all == nil {
		e.all = make(map[*listener]struct{})
	}
	e.all[l] = struct{}{}
	if e.quit == nil {
		ctx, quit := context.WithCancel(e.store.ctx)
		e.quit = quit
		e.wg.Go(func() { e.store.follow(ctx) })
	}
}

func (e *listeners) remove(l *listener) {
	l.stop() // without the lock of the set: f may be slow
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.all, l)
	if len(e.all) == 0 && e.quit != nil {
		e.quit()
		e.quit = nil
	}
}

// close ends the goroutine, and waits for it. Functions that come later are never called.
func (e *listeners) close() {
	e.mu.Lock()
	e.closed = true
	all := e.all
	e.all = nil
	if e.quit != nil {
		e.quit()
	}
	e.mu.Unlock()
	for l := range all {
		l.stop()
	}
	e.wg.Wait()
}

func (e *listeners) tell(key string) {
	e.mu.Lock()
	now := make([]*listener, 0, len(e.all))
	for l := range e.all {
		now = append(now, l)
	}
	e.mu.Unlock()
	for _, l := range now {
		l.tell(key)
	}
}

// errDeaf is a connection that works and does not hear: it leads through a pooler of transactions, or to another database.
var errDeaf = errors.New("notifications do not arrive on this connection: where the URL leads to a pooler of transactions, Options.ListenURL must name the server itself, and the same database")

// follow keeps a listening connection until the context is done. "" is told when it is lost, for what is missed then; when the next one is there, for what was read in between;
// and after each vain try if the server answers other calls: then there is nothing better than to take everything for changed, again and again.
func (s *Store) follow(ctx context.Context) {
	pause, answered := minPause, s.answered.Load()
	for ctx.Err() == nil {
		heard, err := s.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		s.trouble.report("listening for changes", err)
		now := s.answered.Load()
		if heard || now != answered {
			s.listeners.tell("")
		}
		if answered = now; heard {
			pause = minPause
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// hear listens on one connection until it breaks. It reports whether it has heard anything, if only itself.
func (s *Store) hear(ctx context.Context) (heard bool, err error) {
	conn, err := s.connectListener(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	for {
		// A notification to itself, sent where changes are announced, shows that the connection lives, and that it hears them.
		err := s.try(ctx, func(ctx context.Context) error {
			_, err := s.pool.Exec(ctx, "SELECT pg_notify($1::text, $2::text)", s.opt.channel(), s.id)
			return err
		})
		if err != nil {
			return heard, err
		}
		for asked, quiet := true, false; !quiet; {
			patience := pingEvery
			if asked {
				patience = s.opt.Timeout
			}
			var payload string
			payload, quiet, err = s.wait(ctx, conn, patience)
			switch {
			case err != nil:
				return heard, err
			case quiet && asked:
				return heard, errDeaf
			case quiet:
			case payload != s.id:
				s.heard(payload)
			case !heard: // what changed before the connection listened was not told
				heard = true
				s.listeners.tell("")
				s.trouble.report("listening for changes", nil)
				fallthrough
			default:
				asked = false
			}
		}
	}
}

// connectListener returns a connection that listens.
func (s *Store) connectListener(ctx context.Context) (conn *pgx.Conn, err error) {
	config, err := s.listen(ctx)
	if err != nil {
		return nil, err
	}
	err = within(ctx, s.opt.Timeout, func(ctx context.Context) error {
		if conn, err = pgx.ConnectConfig(ctx, config); err == nil {
			_, err = conn.Exec(ctx, "LISTEN "+pgx.Identifier{s.opt.channel()}.Sanitize())
		}
		return err
	})
	if err != nil && conn != nil {
		_ = conn.Close(ctx)
		conn = nil
	}
	return conn, err
}

func within(ctx context.Context, d time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

// wait waits for a notification, or until it has been quiet for some time.
func (s *Store) wait(ctx context.Context, conn *pgx.Conn, patience time.Duration) (payload string, quiet bool, err error) {
	inner, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := conn.WaitForNotification(inner)
	switch {
	case err == nil:
		return n.Payload, false, nil
	case ctx.Err() == nil && inner.Err() != nil && !conn.IsClosed():
		return "", true, nil
	}
	return "", false, err
}

// heard passes a notification on.
func (s *Store) heard(payload string) {
	fields := strings.Fields(payload)
	if len(fields) == 0 {
		s.listeners.tell("")
		return
	}
	if fields[0] == s.id {
		return // our own
	}
	for _, key := range fields[1:] {
		switch {
		case key == allKeys:
			s.listeners.tell("")
		case storetext.ValidKey(key):
			s.listeners.tell(key)
		}
	}
}
