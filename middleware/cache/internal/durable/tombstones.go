package durable

import (
	"context"
	"sync"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// tombstones are the large bodies that no record in the store names any more, and that a request here or in another process may still be reading:
// large bodies are not read whole before they are served. They are removed after a while.
type tombstones struct {
	mu      sync.Mutex // guards the fields below
	removed []tombstone
}

type tombstone struct {
	body *stored.Chunks
	due  time.Time
}

const (
	// tombstoneTTL is for how long a large body stays after it was replaced.
	tombstoneTTL = 5 * time.Minute

	// maxTombstones bounds the bodies that stay so long.
	maxTombstones = 64
)

// add adds a body, and returns one that is to be removed at once to make room, or nil.
func (g *tombstones) add(p *stored.Chunks, now time.Time) *stored.Chunks {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removed = append(g.removed, tombstone{p, now.Add(tombstoneTTL)})
	if len(g.removed) <= maxTombstones {
		return nil
	}
	first := g.removed[0].body
	g.removed = g.removed[1:]
	return first
}

// due removes from the list the bodies whose time has come, and returns them.
func (g *tombstones) due(now time.Time) (due []*stored.Chunks) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.removed) > 0 && !now.Before(g.removed[0].due) {
		due = append(due, g.removed[0].body)
		g.removed = g.removed[1:]
	}
	return due
}

// Discard removes, in the background, a body that no record in the store names any more.
func (d *Store) Discard(p *stored.Chunks) {
	if p.Size > maxWhole && !p.Fresh {
		p = d.tombstones.add(p, time.Now())
	}
	if p != nil && p.Size > 0 {
		d.Workers.Go(func(ctx context.Context) { d.remove(ctx, p) })
	}
}

// removeExpiredTombstones removes the bodies whose time has come.
func (d *Store) removeExpiredTombstones(now time.Time) {
	for _, p := range d.tombstones.due(now) {
		d.Workers.Go(func(ctx context.Context) { d.remove(ctx, p) })
	}
}
