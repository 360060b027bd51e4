//go:build unix

package memcached_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/storeline"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/memcached"
	"github.com/plyhttp/ply/store/memcached/internal/server"
)

// A record in chunks is absent as soon as one of them is lost, cut, or another's, and gives way to the next Put.
func TestDamagedChunksMakeARecordAbsent(t *testing.T) {
	addr := server.Start(t).Addr
	s := open(t, memcached.Options{MaxItemBytes: 16 << 10, Timeout: patient}, addr)
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	for name, damage := range map[string]func(t *testing.T, chunk, other string){
		"evicted": func(t *testing.T, chunk, _ string) {
			require.Equal(t, "DELETED\r\n", command(t, addr, "delete "+chunk+"\r\n"))
		},
		"empty":     func(t *testing.T, chunk, _ string) { set(t, addr, chunk, "") },
		"cut":       func(t *testing.T, chunk, _ string) { v := value(t, addr, chunk); set(t, addr, chunk, v[:len(v)-1]) },
		"longer":    func(t *testing.T, chunk, _ string) { set(t, addr, chunk, value(t, addr, chunk)+"x") },
		"flipped":   func(t *testing.T, chunk, _ string) { v := value(t, addr, chunk); set(t, addr, chunk, "x"+v[1:]) },
		"exchanged": func(t *testing.T, chunk, other string) { set(t, addr, chunk, value(t, addr, other)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := put(t, s, "k", store.Record{Data: data})
			require.Equal(t, data, r.Data)
			damage(t, "ply/"+r.Version+"/3", "ply/"+r.Version+"/4")
			require.Zero(t, get(t, s, "k"))
			records, err := s.GetMulti(t.Context(), []string{"k"})
			require.NoError(t, err)
			require.Zero(t, records[0])
			require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: data, Version: "another"}), store.ErrConflict)
			require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: data}))
			require.Equal(t, data, get(t, s, "k").Data)
		})
	}
}

// No more of a chunk is read into memory than its record can hold, whatever the line says that a chunk has.
func TestChunkThatIsTooLargeIsNotReadIntoMemory(t *testing.T) {
	addr := server.Start(t, "-I", "8m").Addr
	s := open(t, memcached.Options{Timeout: patient}, addr)
	put(t, s, "k", store.Record{Data: []byte("x")})
	line := storeline.Line{Version: "V", Generation: value(t, addr, "ply!generation"), Kind: store.KindBody, Size: 100, Chunk: 1 << 30, Key: "k"}
	set(t, addr, "ply:k", string(line.Encode(0)))
	set(t, addr, "ply/V/0", strings.Repeat("x", 6<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.Zero(t, get(t, s, "k"))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("ours")}))
}

// The chunks of a record that is replaced or deleted do not wait for eviction.
func TestChunksGoWithTheirRecord(t *testing.T) {
	addr := server.Start(t).Addr
	s := open(t, memcached.Options{MaxItemBytes: 16 << 10, Timeout: patient}, addr)
	large := store.Record{Data: make([]byte, 50_000)}
	first := put(t, s, "k", large)
	require.NotEmpty(t, value(t, addr, "ply/"+first.Version+"/0"))
	large.Version = first.Version
	require.NoError(t, s.Put(t.Context(), "k", large))
	require.Empty(t, value(t, addr, "ply/"+first.Version+"/0"))
	second := get(t, s, "k")
	require.NotEmpty(t, value(t, addr, "ply/"+second.Version+"/0"))
	require.NoError(t, s.Delete(t.Context(), "k", second.Version))
	require.Empty(t, value(t, addr, "ply/"+second.Version+"/0"))
}

// What others leave under a name of the store is never a record, and gives way.
func TestForeignValuesAreAbsentAndGiveWay(t *testing.T) {
	addr := server.Start(t).Addr
	s := open(t, memcached.Options{Timeout: patient}, addr)
	put(t, s, "other", store.Record{Data: []byte("of another key")})
	good := value(t, addr, "ply:other")
	put(t, s, "k", store.Record{Data: []byte("of this key")})
	mine := value(t, addr, "ply:k")
	foreign := map[string]string{"empty": "", "text": "hello", "another key's": good, "no data": mine[:strings.IndexByte(mine, '\n')+1], "too long": strings.Repeat("x", 1<<20-400),
		"of before a Clear": strings.Replace(mine, value(t, addr, "ply!generation"), "ANOTHER", 1)}
	for i := range mine {
		foreign[fmt.Sprint("cut to ", i)] = mine[:i]
		foreign[fmt.Sprint("flipped at ", i)] = mine[:i] + string(mine[i]^1) + mine[i+1:]
	}
	for name, text := range foreign {
		set(t, addr, "ply:k", text)
		if r, err := s.Get(t.Context(), "k"); err != nil && !errors.Is(err, store.ErrNewer) || r.Version != "" || r.Data != nil {
			t.Errorf("%s: Get returns %d bytes, %v", name, len(r.Data), err)
		} else if err != nil {
			continue
		}
		if err := s.Delete(t.Context(), "k", "some-version"); err != nil {
			t.Errorf("%s: Delete of a version: %v", name, err)
		}
		if err := s.Put(t.Context(), "k", store.Record{Data: []byte("ours")}); err != nil {
			t.Errorf("%s: Put: %v", name, err)
		}
		require.Equal(t, "ours", string(get(t, s, "k").Data), name)
	}
}

func TestRecordOfALaterVersionStays(t *testing.T) {
	addr := server.Start(t).Addr
	s := open(t, memcached.Options{Timeout: patient}, addr)
	set(t, addr, "ply:k", "ply2 of the future")
	_, err := s.Get(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrNewer)
	_, err = s.GetMulti(t.Context(), []string{"k"})
	require.ErrorIs(t, err, store.ErrNewer)
	require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}), store.ErrConflict)
	require.ErrorIs(t, s.Delete(t.Context(), "k", "v"), store.ErrConflict)
	require.Equal(t, "ply2 of the future", value(t, addr, "ply:k"))
	require.NoError(t, s.Delete(t.Context(), "k", ""))
	require.Empty(t, value(t, addr, "ply:k"))
}

// Clear ends the records of its namespace on all servers, and no others. A server that has lost its generation has lost its records.
func TestClearIsForItsNamespaceAlone(t *testing.T) {
	one, two := server.Start(t).Addr, server.Start(t).Addr
	a := open(t, memcached.Options{Namespace: "a", Timeout: patient}, one, two)
	b := open(t, memcached.Options{Namespace: "b", Timeout: patient}, one, two)
	for i := range 20 {
		put(t, a, fmt.Sprint("k", i), store.Record{Data: []byte("x")})
		put(t, b, fmt.Sprint("k", i), store.Record{Data: []byte("x")})
	}
	require.NoError(t, a.Clear(t.Context()))
	for i := range 20 {
		require.Zero(t, get(t, a, fmt.Sprint("k", i)))
		require.NotZero(t, get(t, b, fmt.Sprint("k", i)))
	}
	for _, addr := range []string{one, two} {
		require.Equal(t, "DELETED\r\n", command(t, addr, "delete b!generation\r\n"))
	}
	for i := range 20 {
		require.Zero(t, get(t, b, fmt.Sprint("k", i)))
		put(t, b, fmt.Sprint("k", i), store.Record{Data: []byte("y")})
	}
}

// A full server drops what was used longest ago: the index or chunks of old records, and no record is ever wrong.
func TestFullServerEvictsAndNothingIsWrong(t *testing.T) {
	addr := server.Start(t, "-m", "8").Addr
	s := open(t, memcached.Options{MaxItemBytes: 64 << 10, Timeout: patient}, addr)
	const n = 100
	data := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%08d", i), 25_000) } // 200 kB, four items
	for i := range n {
		require.NoError(t, s.Put(t.Context(), fmt.Sprint("k", i), store.Record{Data: data(i)}))
	}
	held := 0
	for i := range n {
		if r := get(t, s, fmt.Sprint("k", i)); r.Version != "" {
			held++
			require.Equal(t, data(i), r.Data)
		} else { // and gives way
			require.NoError(t, s.Put(t.Context(), fmt.Sprint("k", i), store.Record{Data: []byte("small")}))
		}
	}
	if held == 0 || held > n/2 {
		t.Errorf("a server of 8 MB holds %d of %d records of 200 kB", held, n)
	}
}

// A server that may not evict (-M) refuses when it is full: what it has stays.
func TestFullServerThatMayNotEvictRefuses(t *testing.T) {
	addr := server.Start(t, "-m", "8", "-M").Addr
	s := open(t, memcached.Options{Timeout: patient}, addr)
	first := put(t, s, "first", store.Record{Data: []byte("first")})
	var err error
	for i := 0; i < 200 && err == nil; i++ {
		err = s.Put(t.Context(), fmt.Sprint("k", i), store.Record{Data: make([]byte, 200_000)})
	}
	if err == nil || errors.Is(err, store.ErrTooLarge) || !strings.Contains(err.Error(), "SERVER_ERROR out of memory") {
		t.Errorf("a full server: %v, want what it says", err)
	}
	require.Equal(t, first, get(t, s, "first"))
}

// Where -I is less than MaxItemBytes the server's refusal says so, and what was there stays.
func TestItemThatTheServerRefusesIsTooLarge(t *testing.T) {
	s := open(t, memcached.Options{Timeout: patient}, server.Start(t, "-I", "512k").Addr)
	old := put(t, s, "k", store.Record{Data: []byte("old")})
	require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: make([]byte, 700_000), Version: old.Version}), store.ErrTooLarge)
	require.Equal(t, old, get(t, s, "k"))
}

// The server's clock ticks in seconds; the store's end is that of the record. A time beyond 30 days is one since 1970 to the server.
func TestItemsExpireAfterTheirRecord(t *testing.T) {
	addr := server.Start(t).Addr
	s := open(t, memcached.Options{Timeout: patient, MaxItemBytes: 16 << 10}, addr)
	for _, size := range []int{10, 50_000} {
		require.NoError(t, s.Delete(t.Context(), "k", ""))
		require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: make([]byte, size), Expires: time.Now().Add(100 * time.Millisecond)}))
		testutil.Eventually(t, "the end of the record", func() bool { return get(t, s, "k").Version == "" })
		if value(t, addr, "ply:k") == "" {
			t.Error("the server has dropped an item before its second was over")
		}
	}
	testutil.Eventually(t, "the end of the item", func() bool { return value(t, addr, "ply:k") == "" })
	// t= is the time to live that the server has, in seconds
	for key, days := range map[string]int{"month": 29, "more": 31, "year": 365} {
		require.NoError(t, s.Put(t.Context(), key, store.Record{Data: []byte("x"), Expires: time.Now().Add(time.Duration(days) * 24 * time.Hour)}))
		require.Equal(t, days, ttl(t, addr, "ply:"+key)/86400, key)
	}
}
