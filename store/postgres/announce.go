package postgres

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
)

// A notification is the id of the store that sends it and then, each after a space, the keys that have changed. An asterisk stands for all.
// An empty one, which people send, stands for all as well. One without keys is for the sender itself, which sees by it that it hears.
const (
	channelPrefix = "ply_"
	allKeys       = "*"
	maxPayload    = 7900 // bytes; PostgreSQL takes 7999
	maxChanges    = 8192 // keys that wait to be announced; beyond, all keys are
)

func newID() string { return rand.Text()[:10] }

// channel is the name of the channel on which the stores of one table tell of their changes.
func (o Options) channel() string { return channelPrefix + o.Schema }

// changes are the keys that this store has changed and not yet told of. They are told in batches by a goroutine of their own, and not by the transaction of the change:
// PostgreSQL commits transactions that notify one at a time, in all databases of the server.
type changes struct {
	wake chan struct{} // holds one wish

	mu   sync.Mutex // guards the fields below
	all  bool
	keys map[string]struct{}
}

func (s *Store) announceKey(key string) { s.changes.add(key) }

func (s *Store) announceAll() { s.changes.add(allKeys) }

func (c *changes) add(key string) {
	c.mu.Lock()
	if key == allKeys || len(c.keys) >= maxChanges {
		c.all, c.keys = true, nil
	}
	if !c.all {
		if c.keys == nil {
			c.keys = make(map[string]struct{})
		}
		c.keys[key] = struct{}{}
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take returns the notifications for what has changed, and forgets it.
func (c *changes) take(id string) (payloads []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all {
		c.all = false
		return []string{id + " " + allKeys}
	}
	var b strings.Builder
	for key := range c.keys {
		if b.Len()+1+len(key) > maxPayload {
			payloads = append(payloads, b.String())
			b.Reset()
		}
		if b.Len() == 0 {
			b.WriteString(id)
		}
		b.WriteByte(' ')
		b.WriteString(key)
	}
	if b.Len() > 0 {
		payloads = append(payloads, b.String())
	}
	c.keys = nil
	return payloads
}

// announce tells of the changes, and of those that are in doubt, until the store is closed. What changes while a notification is under way comes in the next, so a busy store sends few.
// After a failure everything counts as changed, until the server has been told.
func (s *Store) announce() {
	for open := true; open; {
		select {
		case <-s.ctx.Done():
			open = false // and the last ones
		case <-s.changes.wake:
		}
		payloads := s.changes.take(s.id)
		if len(payloads) == 0 {
			continue
		}
		err := s.notifyOthers(payloads, open)
		if err == nil {
			s.trouble.report("announcing changes", nil)
			continue
		}
		s.announceAll()
		if open {
			s.trouble.report("announcing changes", err)
			sleep(s.ctx, maxPause)
		}
	}
}

func (s *Store) notifyOthers(payloads []string, open bool) error {
	ctx := s.ctx
	if !open {
		ctx = context.WithoutCancel(ctx)
	}
	return s.try(ctx, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "SELECT pg_notify($1::text, p) FROM unnest($2::text[]) p", s.opt.channel(), payloads)
		return err
	})
}
