package redis

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	plyredact "github.com/plyhttp/ply/redact"
)

// driverLog is where go-redis logs to. It has one log for the whole process, which is not to be exchanged while a client runs:
// so it is set once, before there is any, and says what it always said until [Open] is called.
// A program that calls goredis.SetLogger itself takes it away again.
type driverLog struct {
	usual  *log.Logger
	opened atomic.Bool                 // Open has been called
	to     atomic.Pointer[slog.Logger] // of the last Open that named one
}

var drivers = &driverLog{usual: log.New(os.Stderr, "redis: ", log.LstdFlags|log.Lshortfile)} // as go-redis has it

func init() { goredis.SetLogger(drivers) }

// open notes that a store was opened whose driver is to log there, or nowhere.
func (d *driverLog) open(to *slog.Logger) {
	d.opened.Store(true)
	if to != nil {
		d.to.Store(to)
	}
}

// Printf is called by go-redis.
func (d *driverLog) Printf(ctx context.Context, format string, args ...any) {
	if !d.opened.Load() {
		_ = d.usual.Output(2, fmt.Sprintf(format, args...))
		return
	}
	if to := d.to.Load(); to != nil && to.Enabled(ctx, slog.LevelWarn) {
		to.WarnContext(ctx, plyredact.Text(fmt.Sprintf(format, args...)))
	}
}
