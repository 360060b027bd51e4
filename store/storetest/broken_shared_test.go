package storetest

import (
	"slices"
	"testing"

	"github.com/plyhttp/ply/store"
)

// Each rule for stores that several processes share finds a store that breaks it.
func TestABrokenSharedStoreIsCaught(t *testing.T) {
	instances := func(of func(first, m *Map) store.Store) []store.Store {
		first := NewMap(0)
		stores := []store.Store{of(first, first)}
		for len(stores) < instances {
			stores = append(stores, of(first, first.Open()))
		}
		return stores
	}
	apart := func(_, _ *Map) store.Store { return NewMap(0) }
	tests := []struct {
		name, rule string
		of         func(first, m *Map) store.Store
	}{
		{"instances have nothing in common", "seen by others", apart},
		{"instances have nothing in common", "one creation succeeds", apart},
		{"instances check, then act", "no lost update", func(_, m *Map) store.Store { return &broken{Map: m, put: putAfterCheck} }},
		{"Delete by others is not atomic", "put or delete", func(_, m *Map) store.Store { return &broken{Map: m, delete: deleteAfterCheck} }},
		{"records are torn", "reads are whole", func(_, m *Map) store.Store { return &broken{Map: m, get: tornGet} }},
		{"each instance counts its versions itself", "versions", func(_, m *Map) store.Store {
			b := versioned(func(_, real string) string { return real[max(0, len(real)-1):] })
			b.Map = m
			return b
		}},
		{"Clear is for one instance", "clear", func(_, m *Map) store.Store {
			return &broken{Map: m, clear: func(m *Map) error { return nil }}
		}},
		{"Notify hears only itself", "notify", func(_, _ *Map) store.Store { return NewMap(0) }},
		{"Notify hears only Puts", "notify", func(_, m *Map) store.Store {
			return &broken{Map: m, delete: func(m *Map, key, _ string) error {
				m.mu.Lock()
				defer m.mu.Unlock()
				if e := m.records[key]; e != nil {
					m.drop(e)
				}
				return nil
			}}
		}},
	}
	for _, r := range sharedRules {
		if !slices.ContainsFunc(tests, func(tt struct {
			name, rule string
			of         func(first, m *Map) store.Store
		}) bool {
			return tt.rule == r.name
		}) {
			t.Errorf("no broken store shows that the rule %q works", r.name)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name+", "+tt.rule, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(sharedRules, func(r rule) bool { return r.name == tt.rule })
			failures := judge(t, sharedRules[i], instances(tt.of))
			if len(failures) == 0 || failures[0] == "skipped" {
				t.Fatalf("rule %q finds nothing: %q", tt.rule, failures)
			}
			t.Logf("%.200s", failures[0])
		})
	}
}
