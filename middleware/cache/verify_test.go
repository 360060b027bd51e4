package cache_test

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// edit changes the bytes of a record.
func edit(t *testing.T, s store.Store, key string, change func([]byte)) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	change(r.Data)
	require.NoError(t, s.Put(t.Context(), key, r))
}

func flip(data []byte) { data[len(data)-1] ^= 1 }

// later makes a record one of a later version.
func later(data []byte) {
	data[4]++
	reseal(data)
}

// reseal puts the checksum of a record in order.
func reseal(data []byte) {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(data[5:], crc32.Update(crc32.Checksum(data[:5], castagnoli), castagnoli, data[9:]))
}

func TestVerifyFindsWhatIsDamagedAndDeletesItOnRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := storetest.NewMap(64 << 20)
		o := says("small", "Cache-Control: max-age=1000")
		g := newPlainRig(t, o, cache.Options{Store: m})
		for _, path := range []string{"a", "b", "c"} {
			g.get("http://h/" + path + "?q=1")
		}
		o.answer = says(strings.Repeat("x", 600<<10), "Cache-Control: max-age=1000").answer
		g.get("http://h/large")
		time.Sleep(time.Second)

		before := verified(g, cache.VerifyOptions{})
		if diff := cmp.Diff(cache.VerifyReport{Records: before.Records, Entries: 4, Bytes: before.Bytes}, before); diff != "" || !before.Sound() {
			t.Errorf("whole: %s", diff)
		}
		if n := len(keys(t, m, store.KindEntry)) + len(keys(t, m, store.KindBody)) + len(keys(t, m, store.KindGeneration)) + len(keys(t, m, store.KindSetup)); n != before.Records {
			t.Errorf("%d records of %d", before.Records, n)
		}

		small := slices.DeleteFunc(keys(t, m, store.KindEntry), func(key string) bool {
			r, _ := m.Get(t.Context(), key)
			return strings.Contains(string(r.Data), "/large")
		})
		edit(t, m, small[0], flip)
		edit(t, m, small[1], later)
		bodies := keys(t, m, store.KindBody)
		slices.Sort(bodies)
		edit(t, m, bodies[1], flip)
		orphan, _ := m.Get(t.Context(), bodies[0])
		orphan.Version, orphan.Owner = "", "e1."+strings.Repeat("0", 64)
		lost := strings.Replace(bodies[0], bodies[0][3:35], strings.Repeat("0", 32), 1)
		copyOfChunk(t, m, lost, orphan)

		var found []string
		problem := func(p cache.VerifyProblem) {
			found = append(found, p.Kind.String()+" "+p.URL+": "+p.Err.Error())
		}
		want := cache.VerifyReport{Entries: 2, Damaged: 2, Incomplete: 1, Newer: 1, Orphaned: 1}
		have := verified(g, cache.VerifyOptions{Found: problem})
		want.Records, want.Bytes = before.Records+1, have.Bytes
		if diff := cmp.Diff(want, have); diff != "" || have.Sound() {
			t.Errorf("%s\n%q", diff, found)
		}
		if len(found) != 5 || !slices.ContainsFunc(found, func(s string) bool { return strings.HasPrefix(s, "entry http://h/large: a chunk") }) {
			t.Errorf("%q", found)
		}

		// The response that is removed takes its pieces with it in the background: those that are gone before they are listed are counted nowhere.
		have = verified(g, cache.VerifyOptions{DeleteDamaged: true, DeleteOrphaned: true})
		time.Sleep(time.Minute) // what is in the background
		if have.Damaged < 1 || have.Incomplete != 1 || have.Orphaned < 1 || have.Deleted < 3 || have.Deleted > have.Damaged+have.Incomplete+have.Orphaned {
			t.Errorf("deleted: %+v", have)
		}
		if left := keys(t, m, store.KindBody); len(left) != 0 {
			t.Errorf("pieces that stayed: %q", left)
		}
		last := verified(g, cache.VerifyOptions{})
		if !last.Sound() || last.Newer != 1 || last.Orphaned != 0 || last.Entries != 1 {
			t.Errorf("afterwards: %+v", last)
		}
	})
}

// copyOfChunk puts a chunk under the key of another body, with its frame in order.
func copyOfChunk(t *testing.T, m *storetest.Map, key string, r store.Record) {
	t.Helper()
	clear(r.Data[9:25])
	reseal(r.Data)
	require.NoError(t, m.Put(t.Context(), key, r))
}

func verified(g *rig, o cache.VerifyOptions) cache.VerifyReport {
	g.Helper()
	calls := 0
	o.Progress = func(cache.VerifyReport) { calls++ }
	report, err := g.Verify(g.Context(), o)
	require.NoError(g, err)
	if calls < report.Records {
		g.Errorf("progress was called %d times for %d records", calls, report.Records)
	}
	return report
}

func TestVerifyOfAMemoryCountsItsEntries(t *testing.T) {
	g := newPlainRig(t, says("a", "Cache-Control: max-age=100"), cache.Options{})
	g.get("http://h/a")
	g.get("http://h/b")
	if report := verified(g, cache.VerifyOptions{}); report.Entries != 2 || report.Records != 2 || !report.Sound() {
		t.Errorf("%+v", report)
	}
}
