package cache_test

import (
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

func TestCookiesStayOutOfACacheThatDoesNotReplayThem(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		a := newPlainRig(t, says("a", "Cache-Control: max-age=100", "Set-Cookie: s=1"), cache.Options{Store: from, ReplayCookies: true})
		a.get("http://h/")
		if _, resp := a.get("http://h/"); resp.Header.Get("Set-Cookie") == "" {
			t.Fatal("the exporting cache does not replay them")
		}
		b := newPlainRig(t, mute(t), cache.Options{Store: to})
		b.imports(a.exported())
		have, resp := b.get("http://h/")
		b.want(have, 200, "a", "hit", 0)
		if resp.Header.Get("Set-Cookie") != "" || b.the().Header().Get("Set-Cookie") != "" {
			t.Error("the cookie is set again")
		}
	})
}

func TestImportLeavesBodiesOfMoreThanMaxEntryBytes(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		o := says(strings.Repeat("x", 100), "Cache-Control: max-age=100")
		a := newPlainRig(t, o, cache.Options{Store: from})
		a.get("http://h/large")
		o.answer = says("small", "Cache-Control: max-age=100").answer
		a.get("http://h/small")
		b := newPlainRig(t, o, cache.Options{Store: to, MaxEntryBytes: 99})
		want := cache.MoveReport{Entries: 1, Bytes: 5, Skipped: map[cache.Skip]int{cache.SkipTooLarge: 1}}
		if diff := cmp.Diff(want, b.imports(a.exported())); diff != "" {
			t.Error(diff)
		}
	})
}

// A byte store forgets an invalidation after an hour. An export may be older.
func TestExportOfYesterdayIsImported(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		a := newPlainRig(t, says("a", "Cache-Control: max-age=100000"), cache.Options{Store: from})
		a.get("http://h/")
		stream := a.exported()
		time.Sleep(24 * time.Hour)
		b := newPlainRig(t, mute(t), cache.Options{Store: to})
		if report := b.imports(stream); report.Entries != 1 {
			t.Errorf("%+v", report)
		}
		have, resp := b.get("http://h/")
		b.want(have, 200, "a", "hit", 0)
		if resp.Header.Get("Age") != "86400" {
			t.Errorf("Age: %s", resp.Header.Get("Age"))
		}
	})
}

// Another process that shares the store has invalidated it, so this process knows of it by the store only.
func TestImportLeavesWhatAnotherProcessHasInvalidated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("a", "Cache-Control: max-age=100000")
		a := newPlainRig(t, o, cache.Options{})
		a.get("http://h/")
		stream := a.exported()
		time.Sleep(time.Minute)
		shared := storetest.NewMap(1 << 20)
		other := newPlainRig(t, o, cache.Options{Store: shared})
		require.NoError(t, other.DeleteURL(t.Context(), "http://h/"))
		b := newPlainRig(t, o, cache.Options{Store: shared.Open()})
		want := cache.MoveReport{Skipped: map[cache.Skip]int{cache.SkipInvalidated: 1}}
		if diff := cmp.Diff(want, b.imports(stream)); diff != "" {
			t.Error(diff)
		}
	})
}

// A request that does not look into the store first stores its answer beside what was imported: that must not come back when the answer is evicted.
func TestReloadedAnswerTakesThePlaceOfTheImportedOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newPlainRig(t, says("imported", "Cache-Control: max-age=100000"), cache.Options{})
		a.get("http://h/")
		stream := a.exported()
		time.Sleep(time.Minute)
		b := newPlainRig(t, says("reloaded", "Cache-Control: max-age=100000"), cache.Options{})
		b.imports(stream)
		r, _ := http.NewRequestWithContext(cache.WithMode(t.Context(), cache.ModeReload), "GET", "http://h/", nil)
		b.send(r)
		if n := b.entries(); n != 1 {
			t.Errorf("%d entries", n)
		}
		have, _ := b.get("http://h/")
		b.want(have, 200, "reloaded", "hit", 1)
	})
}
