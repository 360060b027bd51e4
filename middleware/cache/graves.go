package cache

import (
	"context"
	"sync"
	"time"
)

// graves are the large bodies that nothing in the store names any more, and that somebody may still be reading, here or in another process:
// they are not read whole before they are served. They are removed after a while.
type graves struct {
	mu   sync.Mutex // guards the fields below
	dead []grave
}

type grave struct {
	body *pieces
	due  time.Time
}

const (
	// mourning is how long a large body stays that has been replaced.
	mourning = 5 * time.Minute

	// maxGraves bounds the bodies that stay for so long.
	maxGraves = 64
)

// add takes in a body, and returns one that has to make room for it, or nil.
func (g *graves) add(p *pieces, now time.Time) *pieces {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = append(g.dead, grave{p, now.Add(mourning)})
	if len(g.dead) <= maxGraves {
		return nil
	}
	first := g.dead[0].body
	g.dead = g.dead[1:]
	return first
}

// due takes out the bodies whose time has come.
func (g *graves) due(now time.Time) (due []*pieces) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.dead) > 0 && !now.Before(g.dead[0].due) {
		due = append(due, g.dead[0].body)
		g.dead = g.dead[1:]
	}
	return due
}

// discard removes a body that nothing in the store names any more, behind the caller's back.
func (d *durable) discard(p *pieces) {
	if p.size > maxWhole && !p.fresh {
		p = d.graves.add(p, time.Now())
	}
	if p != nil && p.size > 0 {
		d.behind.start(func(ctx context.Context) { d.remove(ctx, p) })
	}
}

// bury removes the bodies whose time has come.
func (d *durable) bury(now time.Time) {
	for _, p := range d.graves.due(now) {
		d.behind.start(func(ctx context.Context) { d.remove(ctx, p) })
	}
}
