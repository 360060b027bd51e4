package storetest

import (
	"container/list"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/plyhttp/ply/store"
)

func TestABrokenBoundIsCaught(t *testing.T) {
	victims := func(choose func(m *Map) *list.Element) func() *broken {
		return func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				for m.bytes+int64(len(key)+len(r.Data))+overhead > m.limit && int64(len(r.Data)) < m.limit {
					m.drop(choose(m))
				}
				return m.Put(bg, key, r)
			}}
		}
	}
	tests := []fault{
		{"no bound", "bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error { m.limit = 1 << 40; return m.Put(bg, key, r) }}
		}},
		{"full is full", "bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if m.bytes+int64(len(r.Data)) > m.limit*3/4 {
					return errors.New("full")
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"everything goes at once", "bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if m.bytes > m.limit/4 {
					m.Clear(bg)
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"the newest go", "newest stay", victims(func(m *Map) *list.Element { return m.used.Front() })},
		{"any go", "newest stay", victims(func(m *Map) *list.Element {
			e := m.used.Back()
			for i := range m.versions * 7919 % uint64(m.used.Len()) {
				if e.Prev() != nil && i < 1<<20 {
					e = e.Prev()
				}
			}
			return e
		})},
		{"too large empties the store", "too large for the bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if int64(len(r.Data)) > m.limit {
					m.Clear(bg)
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"too large is kept", "too large for the bound", func() *broken {
			return &broken{put: func(m *Map, key string, r store.Record) error {
				if int64(len(r.Data)) > m.limit {
					m.limit = 1 << 40
				}
				return m.Put(bg, key, r)
			}}
		}},
		{"a Get is no use", "used ones stay", func() *broken {
			return &broken{get: func(m *Map, key string) (store.Record, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				if e := m.live(key, time.Now()); e != nil {
					return private(e.Value.(*kept).record), nil
				}
				return store.Record{}, nil
			}}
		}},
	}
	for _, r := range boundedRules {
		if !slices.ContainsFunc(tests, func(f fault) bool { return f.rule == r.name }) {
			t.Errorf("no broken store shows that the rule %q works", r.name)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(boundedRules, func(r rule) bool { return r.name == tt.rule })
			b := tt.make()
			b.Map = NewMap(bound)
			failures := judge(t, boundedRules[i], []store.Store{b})
			if len(failures) == 0 || failures[0] == "skipped" {
				t.Fatalf("rule %q finds nothing: %q", tt.rule, failures)
			}
			t.Logf("%.200s", failures[0])
		})
	}
}
