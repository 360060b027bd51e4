package storetest

import (
	"errors"
	"time"

	"github.com/plyhttp/ply/store"
)

// expiryFaults are for the rules of expiry.go.
var expiryFaults = []fault{
	{"a record that is over leaves the old one", "expired in the past", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if !r.Expires.IsZero() && r.Expires.Before(time.Now()) {
				return nil
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"a record that is over is refused", "expired in the past", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if !r.Expires.IsZero() && r.Expires.Before(time.Now()) {
				return errors.New("expired")
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"nothing expires", "expires in time", func() *broken { return &broken{put: orPut(func(r *store.Record) { r.Expires = time.Time{} })} }},
	{"expires a second late", "expires in time", func() *broken {
		return &broken{put: orPut(func(r *store.Record) { r.Expires = r.Expires.Add(time.Second) })}
	}},
	{"an expired record can be replaced", "expires in time", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if r.Version != "" && m.live(key, time.Now()) == nil {
				r.Version = ""
			}
			return m.Put(bg, key, r)
		}}
	}},
	{"an expired record is in the way", "expires in time", func() *broken {
		put := make(map[string]bool)
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if r.Version == "" && put[key] {
				return store.ErrConflict
			}
			put[key] = true
			return m.Put(bg, key, r)
		}}
	}},
	{"expires by whole seconds", "does not expire early", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if !r.Expires.IsZero() {
				r.Expires = time.Now().Add(time.Until(r.Expires).Truncate(time.Second))
			}
		})}
	}},
	{"expires after 30 days", "does not expire early", func() *broken {
		return &broken{put: orPut(func(r *store.Record) {
			if time.Until(r.Expires) > 30*24*time.Hour {
				r.Expires = time.Now().Add(-time.Second)
			}
		})}
	}},
	{"the earlier time stays", "does not expire early", func() *broken {
		return &broken{put: func(m *Map, key string, r store.Record) error {
			if old, _ := m.Get(bg, key); !old.Expires.IsZero() {
				r.Expires = old.Expires
			}
			return m.Put(bg, key, r)
		}}
	}},
}
