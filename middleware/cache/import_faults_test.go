package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// Whichever call of the store fails in the middle of an import, with the error that drivers have for a connection that ends: the import says so,
// what it has reported answers, and the next import brings the rest.
func TestImportIntoAStoreThatFailsSaysSo(t *testing.T) {
	large := strings.Repeat("large ", 300_000)
	bodies := map[string]string{"/small": "small", "/large": large}
	k := int64(1)
	for over := false; !over; k++ {
		inFreshBubble(t, func(t *testing.T) {
			o := &origin{answer: func(r *http.Request) *http.Response {
				return reply(200, bodies[r.URL.Path], "Cache-Control: max-age=100")
			}}
			a := newPlainRig(t, o, cache.Options{})
			a.get("http://h/small")
			a.get("http://h/large")
			stream := a.exported()
			s := &faulty{Map: storetest.NewMap(1 << 24)}
			s.fault = func(_ context.Context, n int64) error {
				if n == k {
					return fmt.Errorf("the connection has ended: %w", io.ErrUnexpectedEOF)
				}
				return nil
			}
			b := newPlainRig(t, mute(t), cache.Options{Store: s})
			report, err := b.Import(t.Context(), bytes.NewReader(stream))
			if err == nil && report.Entries != 2 {
				t.Errorf("call %d: no error, and %+v", k, report)
			}
			over = s.calls.Load() < k
			s.set(nil)
			time.Sleep(2 * time.Second)
			again := b.imports(stream)
			if n := again.Entries + again.Skipped[cache.SkipNewer]; n != 2 {
				t.Errorf("call %d: the next import: %+v", k, again)
			}
			for path, want := range bodies {
				if have, _ := b.get("http://h" + path); have.Body != want || have.Outcome != "hit" {
					t.Errorf("call %d: %s: %s, %d bytes", k, path, have.Outcome, len(have.Body))
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	if k < 10 {
		t.Errorf("only %d calls", k)
	}
}

// Between the beginning of an import and its first entry another one puts a secret of its own. Entries under the former secret could never be found.
func TestImportLeavesEntriesWhoseSecretAnotherImportHasReplaced(t *testing.T) {
	vary := []string{"Cache-Control: max-age=100", "Vary: X-Token"}
	between(t, func(t *testing.T, from, to store.Store) {
		one := newPlainRig(t, says("one", vary...), cache.Options{Store: from})
		one.get("http://h/one", "X-Token: secret")
		other := newPlainRig(t, says("other", vary...), cache.Options{})
		other.get("http://h/other", "X-Token: secret")
		second := other.exported()
		b := newPlainRig(t, mute(t), cache.Options{Store: to})
		frames := framesOf(one.exported())
		meanwhile := readerFunc(func([]byte) (int, error) {
			if report := b.imports(second); report.Entries != 1 {
				t.Errorf("%+v", report)
			}
			return 0, io.EOF
		})
		report, err := b.Import(t.Context(), io.MultiReader(bytes.NewReader(join(frames[:2])), meanwhile, bytes.NewReader(join(frames[2:]))))
		require.NoError(t, err)
		if diff := cmp.Diff(cache.MoveReport{Skipped: map[cache.Skip]int{cache.SkipSecret: 1}}, report); diff != "" {
			t.Error(diff)
		}
		have, _ := b.get("http://h/other", "X-Token: secret")
		b.want(have, 200, "other", "hit", 0)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A cache that is closed while it imports takes nothing more in.
func TestImportEndsWithTheCache(t *testing.T) {
	stream, _ := smallExport(t)
	frames := framesOf(stream)
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			g := newPlainRig(t, mute(t), cache.Options{Store: open(t)})
			closes := readerFunc(func([]byte) (int, error) {
				require.NoError(t, g.Close())
				return 0, io.EOF
			})
			report, err := g.Import(t.Context(), io.MultiReader(bytes.NewReader(join(frames[:2])), closes, bytes.NewReader(join(frames[2:]))))
			if err == nil || report.Entries != 0 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// The source loses the second piece of a large body: that entry is left, and the others are copied.
func TestCopyLeavesOutABodyThatTheStoreHasLost(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := storetest.NewMap(64 << 20)
				bodies := map[string]string{"/lost": strings.Repeat("x", 3<<20), "/there": "there"}
				o := &origin{answer: func(r *http.Request) *http.Response {
					return reply(200, bodies[r.URL.Path], "Cache-Control: max-age=1000")
				}}
				a := newPlainRig(t, o, cache.Options{Store: m})
				a.get("http://h/lost")
				a.get("http://h/there")
				time.Sleep(time.Second)
				lose(t, m, 1)
				b := newPlainRig(t, mute(t), cache.Options{Store: open(t)})
				report, err := cache.Copy(t.Context(), b.Cache, a.Cache)
				require.NoError(t, err)
				want := cache.MoveReport{Entries: 1, Bytes: 5, Skipped: map[cache.Skip]int{cache.SkipBodyLost: 1}}
				if diff := cmp.Diff(want, report); diff != "" {
					t.Error(diff)
				}
				have, _ := b.get("http://h/there")
				b.want(have, 200, "there", "hit", 0)
			})
		})
	}
}
