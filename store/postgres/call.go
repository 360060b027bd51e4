package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// call runs f when the table is known to be there, for Options.Timeout at most. Where nothing has reached the server yet, because a connection
// of the pool has died, and where the table has been dropped, it tries once more.
func (s *Store) call(ctx context.Context, op string, f func(ctx context.Context) error) error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	return wrap(op, s.try(ctx, f))
}

// try is call for what goes on after Close, and names the operation itself.
func (s *Store) try(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	err := s.attempt(ctx, f)
	if err != nil && ctx.Err() == nil && (pgconn.SafeToRetry(err) || isDropped(err)) {
		err = s.attempt(ctx, f)
	}
	switch {
	case err == nil, code(err) != "":
		s.answered.Add(1)
	case ctx.Err() != nil: // the connection's deadline may come before the context's timer
		err = context.Cause(ctx)
	}
	return err
}

// attempt runs f once. If that finds that the table is gone, the next attempt looks for it, and makes it.
func (s *Store) attempt(ctx context.Context, f func(ctx context.Context) error) error {
	err := s.prepare(ctx)
	if err == nil {
		if err = f(ctx); isDropped(err) {
			s.ready.Store(false)
		}
	}
	return err
}

// isDropped reports whether a statement has changed nothing because the table, a column or the schema is not there.
func isDropped(err error) bool {
	switch code(err) {
	case undefinedTable, undefinedColumn, undefinedSchema:
		return true
	}
	return false
}

// inDoubt reports whether a change may have been made though its call has failed: the reply got lost, or came too late.
func inDoubt(err error) bool {
	return err != nil && code(err) == "" && !errors.Is(err, store.ErrConflict) && !pgconn.SafeToRetry(err)
}

// Codes of PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	undefinedTable    = "42P01"
	undefinedColumn   = "42703"
	undefinedSchema   = "3F000"
	duplicateTable    = "42P07"
	duplicateSchema   = "42P06"
	uniqueViolation   = "23505"
	permissionMissing = "42501"
	serialization     = "40001"
)

// code returns the code of an error that the server has sent, or "".
func code(err error) string {
	if e := new(pgconn.PgError); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func wrap(op string, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrClosed), errors.Is(err, ErrNewer):
		return err
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrTooLarge):
		return err
	case code(err) == permissionMissing:
		return fmt.Errorf("postgres: %s: %w; the role needs what SQL of this package grants", op, err)
	}
	return fmt.Errorf("postgres: %s: %w", op, err)
}

// trouble tells the logger what fails in the background: each thing once, until it has worked again.
type trouble struct {
	to *slog.Logger

	mu    sync.Mutex // guards fails
	fails map[string]bool
}

// report notes what became of something.
func (t *trouble) report(what string, err error) {
	if t.to == nil {
		return
	}
	t.mu.Lock()
	before := t.fails[what]
	if t.fails == nil {
		t.fails = make(map[string]bool)
	}
	t.fails[what] = err != nil
	t.mu.Unlock()
	switch {
	case err != nil && !before:
		t.to.Warn("postgres: "+what+" fails", slog.String("error", redact.Text(err.Error())))
	case err == nil && before:
		t.to.Info("postgres: " + what + " works again")
	}
}

// sleep waits for d, and reports whether ctx is not done then.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
