//go:build unix

package nats_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/nats"
	"github.com/plyhttp/ply/store/nats/internal/natstest"
)

// A record in chunks is absent as soon as one of them is lost, cut, or another's, and gives way to the next Put.
func TestDamagedChunksMakeARecordAbsent(t *testing.T) {
	srv := natstest.Start(t, "-max-payload", "16384")
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20, Timeout: patient})
	data := bytes.Repeat([]byte("0123456"), 14_000) // no chunk is like another
	put(t, s, "k", store.Record{Data: data})
	kv := raw(t, srv.Addr, "ply")
	value := func(key string) []byte {
		e, err := kv.Get(t.Context(), key)
		require.NoError(t, err)
		return e.Value()
	}
	set := func(key string, value []byte) {
		_, err := kv.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	for name, damage := range map[string]func(chunk, other string){
		"deleted":   func(chunk, _ string) { require.NoError(t, kv.Delete(t.Context(), chunk)) },
		"purged":    func(chunk, _ string) { require.NoError(t, kv.Purge(t.Context(), chunk)) },
		"empty":     func(chunk, _ string) { set(chunk, nil) },
		"cut":       func(chunk, _ string) { v := value(chunk); set(chunk, v[:len(v)-1]) },
		"longer":    func(chunk, _ string) { set(chunk, append(value(chunk), 'x')) },
		"flipped":   func(chunk, _ string) { v := value(chunk); v[0] ^= 1; set(chunk, v) },
		"exchanged": func(chunk, other string) { set(chunk, value(other)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := put(t, s, "k", store.Record{Data: data})
			require.True(t, bytes.Equal(data, r.Data))
			damage("c."+r.Version+".3", "c."+r.Version+".4")
			require.Empty(t, get(t, s, "k").Version)
			require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: data, Version: "another"}), store.ErrConflict)
			require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: data}))
			require.True(t, bytes.Equal(data, get(t, s, "k").Data))
		})
	}
}

// The chunks of a record that is replaced or deleted do not wait for their turn.
func TestChunksGoWithTheirRecord(t *testing.T) {
	srv := natstest.Start(t, "-max-payload", "16384")
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20, Timeout: patient})
	large := store.Record{Data: make([]byte, 50_000)}
	first := put(t, s, "k", large)
	kv := raw(t, srv.Addr, "ply")
	require.Len(t, chunks(t, kv), 4)
	large.Version = first.Version
	require.NoError(t, s.Put(t.Context(), "k", large))
	second := get(t, s, "k")
	for _, key := range chunks(t, kv) {
		require.Contains(t, key, second.Version)
	}
	require.NoError(t, s.Delete(t.Context(), "k", second.Version))
	require.Empty(t, chunks(t, kv))
}

// What others leave under a key of the store is never a record, and gives way.
func TestForeignValuesAreAbsentAndGiveWay(t *testing.T) {
	srv := natstest.Start(t)
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20, Timeout: patient})
	put(t, s, "other", store.Record{Data: []byte("of another key")})
	kv := raw(t, srv.Addr, "ply")
	e, err := kv.Get(t.Context(), "r.other")
	require.NoError(t, err)
	good := string(e.Value())
	put(t, s, "k", store.Record{Data: []byte("of this key")})
	e, err = kv.Get(t.Context(), "r.k")
	require.NoError(t, err)
	mine := string(e.Value())
	foreign := map[string]string{"empty": "", "text": "hello", "another key's": good, "no data": mine[:strings.IndexByte(mine, '\n')+1], "long": strings.Repeat("x", 1<<19)}
	for i := range mine {
		foreign[fmt.Sprint("cut to ", i)] = mine[:i]
		foreign[fmt.Sprint("flipped at ", i)] = mine[:i] + string(mine[i]^1) + mine[i+1:]
	}
	for name, text := range foreign {
		_, err := kv.Put(t.Context(), "r.k", []byte(text))
		require.NoError(t, err)
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
	srv := natstest.Start(t)
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20, Timeout: patient})
	put(t, s, "fine", store.Record{Data: []byte("x"), Kind: store.KindEntry})
	kv := raw(t, srv.Addr, "ply")
	_, err := kv.Put(t.Context(), "r.k", []byte("ply2 of the future"))
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrNewer)
	_, err = s.GetMulti(t.Context(), []string{"fine", "k"})
	require.ErrorIs(t, err, store.ErrNewer)
	require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}), store.ErrConflict)
	require.ErrorIs(t, s.Delete(t.Context(), "k", "v"), store.ErrConflict)
	var listed []string
	require.NoError(t, s.Range(t.Context(), store.KindEntry, func(key string, _ store.Record) bool { listed = append(listed, key); return true }))
	require.Equal(t, []string{"fine"}, listed)
	require.NoError(t, s.Delete(t.Context(), "k", ""))
	require.Zero(t, get(t, s, "k"))
}

// Keys of others in the bucket are neither listed nor cleared, and Clear leaves no chunk.
func TestClearLeavesWhatOthersHaveInTheBucket(t *testing.T) {
	srv := natstest.Start(t, "-max-payload", "16384")
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20, Timeout: patient})
	put(t, s, "k", store.Record{Data: make([]byte, 50_000)})
	kv := raw(t, srv.Addr, "ply")
	_, err := kv.Put(t.Context(), "others", []byte("x"))
	require.NoError(t, err)
	require.NoError(t, s.Clear(t.Context()))
	require.Zero(t, get(t, s, "k"))
	require.Empty(t, chunks(t, kv))
	_, err = kv.Get(t.Context(), "others")
	require.NoError(t, err)
}

// A bucket that is deleted while it is in use is made again, and its numbers begin again at 1: no version of before replaces anything.
func TestVersionsDoNotComeAgainWithTheBucket(t *testing.T) {
	srv := natstest.Start(t)
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20, Timeout: patient})
	before := put(t, s, "k", store.Record{Data: []byte("before")})
	js := raw(t, srv.Addr, "ply")
	first, err := js.Get(t.Context(), "r.k")
	require.NoError(t, err)
	deleteBucket(t, srv.Addr, "ply")
	require.Zero(t, get(t, s, "k"))
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("after")}))
	again, err := raw(t, srv.Addr, "ply").Get(t.Context(), "r.k")
	require.NoError(t, err)
	require.Equal(t, first.Revision(), again.Revision())
	require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: []byte("late"), Version: before.Version}), store.ErrConflict)
	require.ErrorIs(t, s.Delete(t.Context(), "k", before.Version), store.ErrConflict)
	require.Equal(t, "after", string(get(t, s, "k").Data))
}

// A bucket that an administrator has made is used as it is. One that refuses what is new when it is full (DiscardNew) keeps what it has.
func TestFullBucketOfOthersRefuses(t *testing.T) {
	srv := natstest.Start(t)
	js := jetStream(t, srv.Addr)
	_, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "theirs", MaxBytes: 1 << 20})
	require.NoError(t, err)
	s := open(t, srv.Addr, nats.Options{Bucket: "theirs", Timeout: patient})
	first := put(t, s, "first", store.Record{Data: []byte("first")})
	for i := 0; i < 100 && err == nil; i++ {
		err = s.Put(t.Context(), fmt.Sprint("k", i), store.Record{Data: make([]byte, 100_000)})
	}
	if err == nil || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "maximum bytes") {
		t.Errorf("a full bucket: %v, want what the server says", err)
	}
	require.Equal(t, first, get(t, s, "first"))
	require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: make([]byte, 1<<20)}), store.ErrTooLarge)
}

func TestBucketOfAnotherKindIsRefused(t *testing.T) {
	srv := natstest.Start(t)
	_, err := jetStream(t, srv.Addr).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "history", History: 5})
	require.NoError(t, err)
	s := open(t, srv.Addr, nats.Options{Bucket: "history", Timeout: patient})
	require.ErrorContains(t, s.Ping(t.Context()), "history of 1")
}

// The server drops what is over, the chunks and the markers of deletions included, and keeps to the record's end in seconds, rounded up.
func TestServerDropsWhatIsOver(t *testing.T) {
	srv := natstest.Start(t, "-max-payload", "16384")
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20, Timeout: patient})
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: make([]byte, 50_000), Expires: time.Now().Add(200 * time.Millisecond)}))
	kv := raw(t, srv.Addr, "ply")
	require.Len(t, chunks(t, kv), 4)
	testutil.Eventually(t, "the end of the record", func() bool { return get(t, s, "k").Version == "" })
	testutil.Eventually(t, "the end of its messages", func() bool {
		status, err := kv.Status(t.Context())
		require.NoError(t, err)
		return status.Values() == 0
	})
}
