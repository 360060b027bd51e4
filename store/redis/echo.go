package redis

import (
	"context"
	"sync"
	"time"
)

// written are the versions that this store has tried to write of late: what the server says of their keys may be news, or an echo.
// Deletions are not among them: that nothing is there proves nothing about who took it away.
//
// Redis could leave out echoes (NOLOOP), but it would leave out the change of another, too, if that came right behind ours.
type written struct {
	mu       sync.Mutex // guards the fields below
	on       bool       // a listener is registered
	versions map[string]string
	order    []string // the keys, as a ring
	next     int
}

const maxWritten = 4096

// remember begins or ends the record of what is written. Nothing is remembered while no one listens.
func (w *written) remember(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = on
	w.versions, w.order, w.next = nil, nil, 0
}

// expect is called before the change is sent, because the echo may be here before the reply is:
//
//	we: expect, send   the server: tells the tracker, replies   verify: knows the version   we: get the reply
func (w *written) expect(key, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on {
		return
	}
	if w.versions == nil {
		w.versions = make(map[string]string)
	}
	if _, ok := w.versions[key]; !ok {
		if len(w.order) < maxWritten {
			w.order = append(w.order, key)
		} else {
			delete(w.versions, w.order[w.next])
			w.order[w.next] = key
			w.next = (w.next + 1) % maxWritten
		}
	}
	w.versions[key] = version
}

func (w *written) known(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.versions[key]
	return ok
}

// is reports whether version is what this store has written last under key.
func (w *written) is(key, version string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ours, ok := w.versions[key]
	return ok && ours == version
}

// verify looks, for each change of a key that this store has changed, whether it was the store's own: whether the version is there that it wrote.
// If another client changes it after the look, the server says so again.
func (s *Store) verify(ctx context.Context, echoes <-chan string) {
	for {
		var keys []string
		select {
		case <-ctx.Done():
			return
		case key := <-echoes:
			keys = append(keys, key)
		}
		// As many as are there go into one call. The channel has one reader, so the order of changes to a key is kept.
	more:
		for len(keys) < 64 {
			select {
			case key := <-echoes:
				keys = append(keys, key)
			default:
				break more
			}
		}
		heads, err := s.values(ctx, keys, maxHead)
		now := time.Now()
		for i, key := range keys {
			// A failed look proves nothing, so the key counts as changed.
			if err == nil && s.written.is(key, headVersion(key, heads[i], now)) {
				continue
			}
			s.listeners.publish(key)
		}
	}
}

// headVersion returns the version in the beginning of a value, "" if it is no record that counts.
func headVersion(key string, head []byte, now time.Time) string {
	r, err := decode(key, head)
	if err != nil || !r.Expires.IsZero() && !r.Expires.After(now) {
		return ""
	}
	return r.Version
}
