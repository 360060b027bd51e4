package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// optional is every optional interface, and whether a store has it: one line for one more.
var optional = map[string]func(store.Store) bool{
	"MultiGetter": has[store.MultiGetter],
	"Ranger":      has[store.Ranger],
	"Clearer":     has[store.Clearer],
	"Expirer":     has[store.Expirer],
	"Sizer":       has[store.Sizer],
	"Notifier":    has[store.Notifier],
}

func has[T any](s store.Store) bool {
	_, ok := store.As[T](s)
	return ok
}

const all = "Clearer Expirer MultiGetter Notifier Ranger Sizer"

func interfacesOf(s store.Store) string {
	var names []string
	for name, has := range optional {
		if has(s) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// plain is a store with nothing optional.
type plain struct{ store.Store }

// listed can only list.
type listed struct {
	store.Store
	store.Ranger
}

// hiding is a wrapper that passes on nothing but Size.
type hiding struct{ store.Store }

func (h hiding) Unwrap() store.Store { return h.Store }
func (h hiding) Size(ctx context.Context) (records, bytes int64, err error) {
	s, ok := store.As[store.Sizer](h.Store)
	if !ok {
		return 0, 0, errors.ErrUnsupported
	}
	return s.Size(ctx)
}

// dangling is a wrapper that has lost what it wrapped.
type dangling struct{ *storetest.Map }

func (dangling) Unwrap() store.Store { return nil }

func TestAs(t *testing.T) {
	m := storetest.NewMap(0)
	for _, tt := range []struct {
		name  string
		store store.Store
		want  string
	}{
		{"a store that has all", m, all},
		{"a store that has none", plain{m}, ""},
		{"a store that has one", listed{m, m}, "Ranger"},
		{"encrypted, over all", encrypted(t, m, keyA), all},
		{"encrypted, over none", encrypted(t, plain{m}, keyA), ""},
		{"encrypted, over one", encrypted(t, listed{m, m}, keyA), "Ranger"},
		{"compressed, over all", compressed(t, m), all},
		{"compressed, over none", compressed(t, plain{m}), ""},
		{"two wrappers, over one", compressed(t, encrypted(t, listed{m, m}, keyA)), "Ranger"},
		{"a wrapper that hides all but one", hiding{m}, "Sizer"},
		{"the same, over another one", hiding{listed{m, m}}, ""},
		{"hidden below", encrypted(t, hiding{m}, keyA), "Sizer"},
		{"hidden above", hiding{encrypted(t, m, keyA)}, "Sizer"},
		{"a wrapper of nothing", dangling{m}, ""},
		{"nil", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, interfacesOf(tt.store)); diff != "" {
				t.Errorf("optional interfaces (-want +got):\n%s", diff)
			}
		})
	}
}

// What As returns is the wrapper, not what it wraps: nothing goes around it.
func TestAsReturnsTheWrapper(t *testing.T) {
	m := storetest.NewMap(0)
	w := encrypted(t, m, keyA)
	put(t, w, "k", store.Record{Data: []byte("plain"), Kind: store.KindEntry})
	ranger, ok := store.As[store.Ranger](w)
	if !ok {
		t.Fatal("an encrypted store over one that lists does not list")
	}
	var got string
	if err := ranger.Range(t.Context(), store.KindEntry, func(_ string, r store.Record) bool { got = string(r.Data); return true }); err != nil || got != "plain" {
		t.Errorf("Range lists %q, %v, want the data decrypted", got, err)
	}
}

// A caller who asserts a type instead of asking As gets an error, and no panic.
func TestWrapperOverAStoreWithoutTheInterface(t *testing.T) {
	ctx := t.Context()
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			w := wrap(t, plain{storetest.NewMap(0)})
			_, multi := w.(store.MultiGetter).GetMulti(ctx, []string{"k"})
			_, expire := w.(store.Expirer).DeleteExpired(ctx, time.Now())
			_, _, size := w.(store.Sizer).Size(ctx)
			for call, err := range map[string]error{
				"GetMulti":      multi,
				"DeleteExpired": expire,
				"Size":          size,
				"Range":         w.(store.Ranger).Range(ctx, 0, func(string, store.Record) bool { return true }),
				"Clear":         w.(store.Clearer).Clear(ctx),
			} {
				if !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("%s: %v, want ErrUnsupported", call, err)
				}
			}
			stop := w.(store.Notifier).Notify(func(key string) { t.Errorf("Notify: called with %q", key) })
			put(t, w, "k", store.Record{Data: []byte("x")})
			stop()
			stop()
		})
	}
}
