//go:build unix

package postgres

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres/internal/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.Cleanup()
	os.Exit(code)
}

var kept atomic.Int64

// newSchema returns the name of a schema that no other test uses, and no other run of this one.
func newSchema() string { return fmt.Sprint("kept-", kept.Add(1)) }

func openKept(t *testing.T, schema string, o Options) *Store {
	t.Helper()
	o.Schema, o.Timeout = schema, 20*time.Second
	s, err := Open(server.Shared(t).URL(), o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *Store) mustPut(t *testing.T, key string, r store.Record) {
	t.Helper()
	if r.Data == nil {
		r.Data = []byte("x")
	}
	require.NoError(t, s.Put(t.Context(), key, r))
}

func (s *Store) table() string { return pgx.Identifier{s.opt.Schema, "records"}.Sanitize() }

// there returns the keys in the table, expired ones too.
func (s *Store) there(t *testing.T) map[string]bool {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), "SELECT key FROM "+s.table())
	require.NoError(t, err)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	there := make(map[string]bool)
	for _, key := range keys {
		there[key] = true
	}
	return there
}

func TestSweepRemovesWhatIsExpiredAndOrphaned(t *testing.T) {
	s := openKept(t, newSchema(), Options{OrphanAge: time.Nanosecond})
	past := time.Now().Add(-time.Minute)
	for i := range 2*sweepRows + 10 {
		s.mustPut(t, fmt.Sprint("expired-", i), store.Record{Expires: past})
	}
	s.mustPut(t, "owner", store.Record{Kind: store.KindEntry, Expires: time.Now().Add(time.Hour)})
	for i := range 20 {
		s.mustPut(t, fmt.Sprint("part-", i), store.Record{Kind: store.KindBody, Owner: "owner"})
		s.mustPut(t, fmt.Sprint("orphan-", i), store.Record{Kind: store.KindBody, Owner: fmt.Sprint("nothing-", i%3)})
	}
	last, err := s.sweep(orphan{})
	require.NoError(t, err)
	require.Zero(t, last, "the round has come to the end")
	there := s.there(t)
	if len(there) != 21 || !there["owner"] || !there["part-0"] || !there["part-19"] {
		t.Errorf("%d records are left, want the owner and its 20 parts: %v", len(there), there)
	}
	// The keeper may have measured meanwhile, and then the count errs to the full side until the next time.
	if held, size := s.room.over()+s.room.most, s.sizeOf(t); held < size {
		t.Errorf("%d bytes are counted, and %d are there", held, size)
	}
	require.NoError(t, s.measure(t.Context(), s.pool))
	if held, size := s.room.over()+s.room.most, s.sizeOf(t); held != size {
		t.Errorf("%d bytes are counted when they were measured, and %d are there", held, size)
	}
}

func (s *Store) sizeOf(t *testing.T) int64 {
	t.Helper()
	_, bytes, err := s.Size(t.Context())
	require.NoError(t, err)
	return bytes
}

// Pieces that wait for their entry are left alone until they are old.
func TestSweepLeavesYoungParts(t *testing.T) {
	s := openKept(t, newSchema(), Options{})
	s.mustPut(t, "part", store.Record{Kind: store.KindBody, Owner: "to-come"})
	_, err := s.sweep(orphan{})
	require.NoError(t, err)
	require.True(t, s.there(t)["part"])
}

// While another process sweeps, this one does not.
func TestOneProcessSweepsAtATime(t *testing.T) {
	s := openKept(t, newSchema(), Options{OrphanAge: time.Nanosecond})
	s.mustPut(t, "expired", store.Record{Expires: time.Now().Add(-time.Minute)})
	s.mustPut(t, "orphan", store.Record{Owner: "nothing"})
	tx, err := s.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock($1::bigint)", s.locks[1])
	require.NoError(t, err)
	_, err = s.sweep(orphan{})
	require.NoError(t, err)
	require.Len(t, s.there(t), 2, "while another process has the lock")
	require.NoError(t, tx.Rollback(t.Context()))
	_, err = s.sweep(orphan{})
	require.NoError(t, err)
	require.Empty(t, s.there(t))
}

// The parts of a record go with it, and those of the body that comes in its place stay.
func TestPartsGoWithTheirOwner(t *testing.T) {
	s := openKept(t, newSchema(), Options{})
	for i := range 2 * partRows {
		s.mustPut(t, fmt.Sprint("old-", i), store.Record{Kind: store.KindBody, Owner: "owner"})
	}
	s.mustPut(t, "owner", store.Record{Kind: store.KindEntry})
	s.mustPut(t, "new", store.Record{Kind: store.KindBody, Owner: "owner"})
	require.NoError(t, s.Delete(t.Context(), "owner", ""))
	testutil.Eventually(t, "the parts are gone", func() bool {
		there := s.there(t)
		return len(there) == 1 && there["new"]
	})
}

// A use is written down once a minute at most, and when the store is closed.
// The time of a use never goes back. What is over goes by the clock, which does when it is set right: a Put replaces what Get returns, and nothing that Get does not.
func TestPutGoesByAClockThatWasSetBack(t *testing.T) {
	s := openKept(t, newSchema(), Options{})
	ends := time.Now().Add(30 * time.Minute)
	s.mustPut(t, "k", store.Record{Expires: ends})
	s.uses.mu.Lock()
	s.uses.last = time.Now().Add(time.Hour) // of a use while the clock was ahead
	s.uses.mu.Unlock()
	r, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.NotEmpty(t, r.Version)
	require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: []byte("y"), Expires: ends}), store.ErrConflict)
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("z"), Version: r.Version, Expires: ends}))
}

func TestUsesAreWrittenOnceAMinute(t *testing.T) {
	s, ctx := openKept(t, newSchema(), Options{}), t.Context()
	s.mustPut(t, "k", store.Record{})
	usedAt := func() (at time.Time) {
		t.Helper()
		require.NoError(t, s.pool.QueryRow(ctx, "SELECT used_at FROM "+s.table()+" WHERE key = 'k'").Scan(&at))
		return at
	}
	first := usedAt()
	use := func() {
		t.Helper()
		_, err := s.Get(ctx, "k")
		require.NoError(t, err)
		require.NoError(t, s.writeUses(ctx, writeEvery))
	}
	use()
	require.Equal(t, first, usedAt(), "used a moment after it was written")
	_, err := s.pool.Exec(ctx, "UPDATE "+s.table()+" SET used_at = used_at - interval '2 minutes'")
	require.NoError(t, err)
	use()
	second := usedAt()
	require.True(t, second.After(first), "used two minutes later")
	use()
	require.Equal(t, second, usedAt(), "used again within the minute")
}

// A full store drops what no process has used for longest.
func TestEvictionGoesByTheUsesOfAllProcesses(t *testing.T) {
	schema := newSchema()
	one, two := openKept(t, schema, Options{MaxBytes: 4 << 20}), openKept(t, schema, Options{MaxBytes: 4 << 20})
	data := make([]byte, 100_000)
	for i := range 30 {
		one.mustPut(t, fmt.Sprint("k-", i), store.Record{Data: data, Kind: store.KindEntry})
	}
	require.Len(t, one.there(t), 30, "the store is not full yet")
	// Another process uses the oldest, and says so. Its keeper, which may run at this moment, forgets uses within a minute of the last one that was written:
	// then they are used again.
	testutil.Eventually(t, "the uses are written down", func() bool {
		for i := range 3 {
			_, err := two.Get(t.Context(), fmt.Sprint("k-", i))
			require.NoError(t, err)
		}
		require.NoError(t, two.writeUses(t.Context(), 0))
		return count(t, one, "SELECT count(*) FROM "+one.table()+" WHERE key IN ('k-0', 'k-1', 'k-2') AND used_at > (SELECT used_at FROM "+one.table()+" WHERE key = 'k-29')") == 3
	})
	// Besides the ten that have to go, the keepers of both drop an eighth, and each what the other has not told it yet.
	for i := range 20 {
		one.mustPut(t, fmt.Sprint("new-", i), store.Record{Data: data, Kind: store.KindEntry})
	}
	there := one.there(t)
	if !there["k-0"] || !there["k-1"] || !there["k-2"] || there["k-3"] || !there["new-19"] {
		t.Errorf("there are %v", there)
	}
}

// While the keeper of one process drops what was used longest ago, a Put of another drops what was used after that, and not what was used last.
func TestPutsEvictTheOldestBesidesThoseThatAreBeingEvicted(t *testing.T) {
	s := openKept(t, newSchema(), Options{MaxBytes: 1 << 20})
	data, ctx := make([]byte, 10_000), t.Context()
	for i := range 30 {
		s.mustPut(t, fmt.Sprint("k-", i), store.Record{Data: data, Kind: store.KindEntry})
	}
	tx, err := s.pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(ctx) }()
	keeper, err := s.evict(ctx, tx, 15_000, candidates{sql: s.sql.oldest, before: endOfTime})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"k-0", "k-1"}, keeper.keys)
	put, err := s.evict(ctx, s.pool, 25_000, candidates{sql: s.sql.oldestFree, before: endOfTime})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"k-2", "k-3", "k-4"}, put.keys)
}

// A store that is not full drops nothing, though the table is measured while it is filled.
func TestNothingIsEvictedBeforeTheStoreIsFull(t *testing.T) {
	s := openKept(t, newSchema(), Options{MaxBytes: 1 << 20})
	data, ctx := make([]byte, 10_000), t.Context()
	from := s.room.begin()
	for i := range 40 {
		s.mustPut(t, fmt.Sprint("before-", i), store.Record{Data: data, Kind: store.KindEntry})
	}
	var bytes int64
	var saw snapshot
	require.NoError(t, s.pool.QueryRow(ctx, s.sql.measure).Scan(&bytes, &saw.next, &saw.running))
	for i := range 40 {
		s.mustPut(t, fmt.Sprint("after-", i), store.Record{Data: data, Kind: store.KindEntry})
	}
	held := s.room.end(bytes, saw, from, nil)
	require.Equal(t, s.sizeOf(t), held)
	require.Len(t, s.there(t), 80)
}

// A body that is larger than the store is given up, and pushes out no other one's parts for ever.
func TestPartsWithoutAnOwnerFillNoStore(t *testing.T) {
	s := openKept(t, newSchema(), Options{MaxBytes: 1 << 20})
	data := make([]byte, 100_000)
	var err error
	for i := 0; err == nil && i < 20; i++ {
		err = s.Put(t.Context(), fmt.Sprint("part-", i), store.Record{Data: data, Kind: store.KindBody, Owner: "large"})
	}
	require.ErrorIs(t, err, store.ErrTooLarge)
	s.mustPut(t, "k", store.Record{Data: data, Kind: store.KindEntry})
	require.LessOrEqual(t, s.sizeOf(t), int64(1<<20))
}

// Statements on many rows that several processes make at once end no transaction by a deadlock, and count right.
func TestManyProcessesWithoutDeadlocks(t *testing.T) {
	var stores []*Store
	schema := newSchema()
	for range 4 {
		stores = append(stores, openKept(t, schema, Options{MaxBytes: 1 << 20, OrphanAge: time.Nanosecond}))
	}
	require.NoError(t, stores[0].Ping(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for w, s := range stores {
		work := func(f func(i int) error) {
			all.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					if err := f(i); code(err) == "40P01" {
						t.Errorf("a deadlock: %v", err)
						return
					}
				}
			})
		}
		work(func(i int) error {
			key := fmt.Sprint("k-", (i*7+w)%60)
			r, err := s.Get(ctx, key)
			if err != nil {
				return err
			}
			return s.Put(ctx, key, store.Record{Data: make([]byte, 20_000), Version: r.Version, Kind: store.KindEntry, Expires: time.Now().Add(time.Duration(i%100) * time.Millisecond)})
		})
		work(func(i int) error {
			return s.Put(ctx, fmt.Sprint("p-", i%200), store.Record{Data: make([]byte, 2000), Owner: fmt.Sprint("k-", i%90), Kind: store.KindBody})
		})
		work(func(i int) error { return s.Delete(ctx, fmt.Sprint("k-", i%60), "") })
		work(func(int) error { return s.writeUses(ctx, 0) })
		work(func(int) error { _, err := s.sweep(orphan{}); return err })
		work(func(int) error { _, err := s.DeleteExpired(ctx, time.Now()); return err })
		work(func(i int) error {
			<-time.After(20 * time.Millisecond)
			return s.Clear(ctx)
		})
	}
	all.Wait()
	if deadlocks := count(t, stores[0], "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); deadlocks != 0 {
		t.Errorf("the server has ended %d deadlocks", deadlocks)
	}
}

func count(t *testing.T, s *Store, sql string) (n int64) {
	t.Helper()
	require.NoError(t, s.pool.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

// What was changed is announced even if the table has to be looked at again first.
func TestChangesAreAnnouncedAfterTheTableWasLost(t *testing.T) {
	schema := newSchema()
	s, other := openKept(t, schema, Options{}), openKept(t, schema, Options{})
	told := make(chan string, 100)
	defer other.Notify(func(key string) { told <- key })()
	require.Empty(t, <-told, "the store hears")
	require.NoError(t, s.Ping(t.Context()))
	s.ready.Store(false)
	s.announceKey("k")
	testutil.Eventually(t, "hearing of the change", func() bool {
		select {
		case key := <-told:
			return key == "k"
		default:
			return false
		}
	})
}
