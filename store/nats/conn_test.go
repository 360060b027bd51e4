//go:build unix

package nats_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/nats"
	"github.com/plyhttp/ply/store/nats/internal/natstest"
)

func jetStream(t testing.TB, addr string) jetstream.JetStream {
	t.Helper()
	conn, err := natsgo.Connect(addr)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return js
}

func deleteBucket(t testing.TB, addr, bucket string) {
	t.Helper()
	require.NoError(t, jetStream(t, addr).DeleteKeyValue(t.Context(), bucket))
}

// notes are the keys that a store has told of.
type notes struct {
	mu   sync.Mutex // guards keys
	keys map[string]int
}

func listen(t testing.TB, s *nats.Store) *notes {
	t.Helper()
	n := &notes{keys: make(map[string]int)}
	t.Cleanup(s.Notify(func(key string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.keys[key]++
	}))
	n.waitFor(t, "") // it listens
	n.forget()
	return n
}

func (n *notes) count(key string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.keys[key]
}

func (n *notes) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.keys)
}

func (n *notes) waitFor(t testing.TB, key string) {
	t.Helper()
	testutil.Eventually(t, fmt.Sprintf("a note of %q", key), func() bool { return n.count(key) > 0 })
}

// A store tells of what others change, by name, and not of what it changes itself, nor of what is only used.
func TestNotifyReportsTheChangesOfOthersOnly(t *testing.T) {
	srv := natstest.Start(t)
	one, two := open(t, srv.Addr, nats.Options{MaxBytes: 1 << 20, Timeout: patient}), open(t, srv.Addr, nats.Options{MaxBytes: 1 << 20, Timeout: patient})
	put(t, two, "read", store.Record{Data: []byte("x")})
	n := listen(t, one)
	key := "e1.a:B-_..x"
	put(t, one, "ours", store.Record{Data: []byte("x")})
	for i := range 30 { // so that the bucket is full, and what is read is written again
		put(t, one, fmt.Sprint("ours-", i), store.Record{Data: make([]byte, 30_000)})
	}
	kv := raw(t, srv.Addr, "ply")
	was, err := kv.Get(t.Context(), "r.read")
	require.NoError(t, err)
	get(t, open(t, srv.Addr, nats.Options{Timeout: patient}), "read")
	is, err := kv.Get(t.Context(), "r.read")
	require.NoError(t, err)
	require.Greater(t, is.Revision(), was.Revision())
	put(t, two, key, store.Record{Data: []byte("x")})
	n.waitFor(t, key)
	for _, silent := range []string{"ours", "ours-3", "read", ""} { // the server tells of all in their order
		require.Zero(t, n.count(silent), silent)
	}
	require.NotZero(t, get(t, two, "read"))
	n.forget()
	require.NoError(t, two.Delete(t.Context(), key, ""))
	n.waitFor(t, key)
	require.NoError(t, raw(t, srv.Addr, "ply").Delete(t.Context(), "r.foreign"))
	n.waitFor(t, "foreign")
	require.NoError(t, two.Clear(t.Context()))
	n.waitFor(t, "")
}

// When the connection is lost, the server started again or the bucket made again, everything may have changed. Then the store hears of single keys as before.
func TestNotifyReportsEverythingAfterAnOutage(t *testing.T) {
	srv := natstest.Start(t)
	one, two := open(t, srv.Addr, nats.Options{MaxBytes: 8 << 20, Timeout: patient, Memory: true}), open(t, srv.Addr, nats.Options{MaxBytes: 8 << 20, Timeout: patient, Memory: true})
	n := listen(t, one)
	for name, outage := range map[string]func(){
		"killed":  func() { srv.Kill(); srv.Start() },
		"deleted": func() { deleteBucket(t, srv.Addr, "ply") },
	} {
		n.forget()
		outage()
		n.waitFor(t, "")
		testutil.Eventually(t, name+", then a note of a key", func() bool {
			if err := two.Delete(t.Context(), "k", ""); err != nil {
				return false
			}
			return two.Put(t.Context(), "k", store.Record{Data: []byte("x")}) == nil && n.count("k") > 0
		})
	}
}

// A server that is up later than the program, or again, is used from then on, and a bucket in its files is there as before.
func TestServerThatComesLaterIsUsed(t *testing.T) {
	srv := natstest.Start(t)
	srv.Kill()
	s := open(t, srv.Addr, nats.Options{MaxBytes: 64 << 20})
	_, err := s.Get(t.Context(), "k")
	require.Error(t, err)
	srv.Start()
	testutil.Eventually(t, "a Put", func() bool {
		return s.Put(t.Context(), "k", store.Record{Data: []byte("x")}) == nil
	})
	testutil.Eventually(t, "the server to write its files", func() bool { // it does so in the background
		srv.Kill()
		srv.Start()
		var r store.Record
		testutil.Eventually(t, "an answer", func() (answers bool) { r, err = s.Get(t.Context(), "k"); return err == nil })
		if r.Version == "" {
			_ = s.Put(t.Context(), "k", store.Record{Data: []byte("x")})
		}
		return r.Version != ""
	})
}

func TestConnectionOfTheProgramStaysOpen(t *testing.T) {
	srv := natstest.Start(t, "-user", "u", "-password", "hunter2")
	conn, err := natsgo.Connect(srv.Addr, natsgo.UserInfo("u", "hunter2"))
	require.NoError(t, err)
	defer conn.Close()
	s, err := nats.New(conn, nats.Options{MaxBytes: 8 << 20, Timeout: patient})
	require.NoError(t, err)
	put(t, s, "k", store.Record{Data: []byte("x")})
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.True(t, conn.IsConnected())
	_, err = s.Get(t.Context(), "k")
	require.ErrorContains(t, err, "closed")

	mine, err := nats.Open("nats://u:hunter2@"+srv.Addr+"?max_bytes=8MiB&timeout=20s", nats.Options{})
	require.NoError(t, err)
	defer mine.Close()
	require.Equal(t, "x", string(get(t, mine, "k").Data))

	wrong, err := nats.Open("nats://u:hunter3@"+srv.Addr+"?timeout=2s", nats.Options{})
	require.NoError(t, err)
	defer wrong.Close()
	_, err = wrong.Get(t.Context(), "k")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter3")
}

func TestCloseLeavesNothing(t *testing.T) {
	plytest.CheckGoroutines(t)
	s, err := nats.Open("nats://"+natstest.Start(t).Addr, nats.Options{MaxBytes: 8 << 20, Timeout: patient})
	require.NoError(t, err)
	put(t, s, "k", store.Record{Data: []byte("x")})
	s.Notify(func(string) {})
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	s.Notify(func(string) {})()
}

func TestOptionsThatCannotBeCarriedOut(t *testing.T) {
	for name, o := range map[string]nats.Options{
		"Bucket": {Bucket: "a.b"}, "MaxBytes": {MaxBytes: 1000}, "Replicas": {Replicas: 6}, "MaxRecordBytes": {MaxRecordBytes: -1}, "Timeout": {Timeout: -1}, "Calls": {Calls: -1},
	} {
		_, err := nats.Open("nats://h", o)
		var bad *nats.OptionError
		if !errors.As(err, &bad) || bad.Package != "nats" || bad.Option != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := nats.New(nil, nats.Options{})
	require.ErrorContains(t, err, "nats: conn")
}

func TestOpenURL(t *testing.T) {
	for _, rawURL := range []string{
		"nats://127.0.0.1:1", "nats://u:hunter2@127.0.0.1:1,127.0.0.2:2", "nats://token@127.0.0.1:1/", "tls://127.0.0.1:1",
		"nats://127.0.0.1:1?bucket=app&max_bytes=64MiB&memory=true&replicas=3&max_record_bytes=4MiB&timeout=50ms&calls=4",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		require.NoError(t, err, rawURL)
		require.IsType(t, &nats.Store{}, s)
		_, err = s.Get(t.Context(), "k")
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
		require.NoError(t, s.Close())
	}
	for rawURL, want := range map[string]string{
		"nats://":                     "nats: the URL is not understood",
		"nats://h/path":               "nats: the URL is not understood",
		"nats://:hunter2@h,,i":        "nats: the URL is not understood",
		"nats://:hunter2@h?buckt=a":   `nats: the URL has options that are not known: "buckt"`,
		"nats://:hunter2@h?replicas=": "nats: replicas in the URL must be a number",
		"nats://:hunter2@h?bucket=a.": "nats: Bucket: is",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
}

func TestBadKeys(t *testing.T) {
	s := open(t, "127.0.0.1:1", nats.Options{})
	for _, key := range []string{"", "a b", "a>", "a*", "ü", "a/b", "a=b", strings.Repeat("x", 129)} {
		_, err := s.Get(t.Context(), key)
		require.ErrorContains(t, err, "the key")
		_, err = s.GetMulti(t.Context(), []string{"good", key})
		require.ErrorContains(t, err, "the key")
		require.ErrorContains(t, s.Put(t.Context(), key, store.Record{Data: []byte("x")}), "the key")
		require.ErrorContains(t, s.Delete(t.Context(), key, ""), "the key")
	}
}
