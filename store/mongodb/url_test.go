//go:build unix

package mongodb_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/mongodb"
)

func TestOpenURLTakesItsOptionsAndLeavesTheDriverIts(t *testing.T) {
	for _, rawURL := range []string{
		"mongodb://user:hunter2@127.0.0.1:1/app",
		"mongodb://127.0.0.1:1,127.0.0.1:2/app?collection=http&max_bytes=10GiB&journal=true&timeout=50ms&connections=4&replicaSet=rs0",
		"mongodb://127.0.0.1:1?max_bytes=64MiB&appName=ply",
		"mongodb://127.0.0.1:1/app?retryWrites=true&w=majority&authSource=admin&readPreference=secondaryPreferred&compressors=zlib&TLS=true&maxPoolSize=9",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		require.NoError(t, err, rawURL)
		require.IsType(t, &mongodb.Store{}, s)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
	}
	for rawURL, want := range map[string]string{
		"mongodb://u:hunter2@h:1/app?timeout=hunter2":        "mongodb: timeout in the URL must be a duration",
		"mongodb://u:hunter2@h:1/app?max_bytes=1":            "mongodb: Options.MaxBytes is",
		"mongodb://u:hunter2@h:1/app?collection=a.b":         "mongodb: Options.Collection must be",
		"mongodb://u:hunter2@h:1/a.b":                        "mongodb: Options.Database must be",
		"mongodb://u:hunter2@/app":                           "mongodb: the URL is not understood",
		"mongodb://u:1#hunter2@h:1/app?collection=http":      "mongodb: the URL is not understood",
		"mongodb://u:hunter2@h:1/app?max_byte=1GiB":          `mongodb: the URL has options that are not known: "max_byte"; known are collection, connections,`,
		"mongodb://u:hunter2@h:1/app?retryWrite=true&w=1":    `mongodb: the URL has options that are not known: "retryWrite"; known are`,
		"mongodb://u:hunter2@h:1/app?readPreference=hunter2": "mongodb: the URL is not understood",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	for name, o := range map[string]mongodb.Options{
		"MaxBytes": {MaxBytes: 1}, "MaxRecordBytes": {MaxRecordBytes: 32 << 20}, "Timeout": {Timeout: -1}, "Connections": {Connections: -1},
	} {
		if _, err := mongodb.Open(t.Context(), "mongodb://127.0.0.1:1", o); err == nil || !strings.HasPrefix(err.Error(), "mongodb: Options."+name+" ") {
			t.Errorf("%s: %v, want an error that names the option", name, err)
		}
	}
	if _, err := mongodb.New(nil, mongodb.Options{}); err == nil {
		t.Error("New takes no collection")
	}
	s := open(t, "127.0.0.1:1", mongodb.Options{Timeout: 50 * time.Millisecond})
	for _, key := range []string{"", "a b", "a$b", strings.Repeat("x", 129)} {
		_, err := s.Get(t.Context(), key)
		require.ErrorContains(t, err, "mongodb: the key")
		require.ErrorContains(t, s.Put(t.Context(), key, store.Record{Data: []byte("x")}), "mongodb: the key")
		require.ErrorContains(t, s.Delete(t.Context(), key, ""), "mongodb: the key")
	}
}

// A document that is no record is absent and gives way; one of a later format stays.
func TestDamagedDocumentGivesWayAndALaterOneStays(t *testing.T) {
	srv := startServer(t)
	s, c := open(t, srv.Addr, mongodb.Options{}), collection(t, srv.Addr, "cache")
	for name, change := range map[string]bson.D{
		"no data":          {{Key: "d", Value: "text"}},
		"no end":           {{Key: "e", Value: 5}},
		"a strange kind":   {{Key: "kind", Value: 1000}},
		"a strange format": {{Key: "f", Value: "one"}},
		"no version":       {{Key: "v", Value: 7}},
	} {
		put(t, s, "k", store.Record{Data: []byte("x")})
		_, err := c.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "k"}}, bson.D{{Key: "$set", Value: change}})
		require.NoError(t, err)
		require.Empty(t, get(t, s, "k").Version, name)
		require.Equal(t, "y", string(put(t, s, "k", store.Record{Data: []byte("y")}).Data), name)
		require.NoError(t, s.Delete(t.Context(), "k", ""))
	}
	v := put(t, s, "k", store.Record{Data: []byte("x")}).Version
	_, err := c.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "k"}}, bson.D{{Key: "$set", Value: bson.D{{Key: "f", Value: 2}}}})
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrNewer)
	for _, version := range []string{"", v} {
		require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: []byte("y"), Version: version}), store.ErrNewer)
	}
	require.ErrorIs(t, s.Delete(t.Context(), "k", v), store.ErrNewer)
	require.NoError(t, s.Delete(t.Context(), "k", ""))
	put(t, s, "k", store.Record{Data: []byte("z")})
}
