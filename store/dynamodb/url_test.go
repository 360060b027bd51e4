//go:build unix

package dynamodb_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/dynamodb"
)

func TestOpenURLTakesItsOptions(t *testing.T) {
	for _, rawURL := range []string{
		"dynamodb://cache?region=eu-west-1",
		"dynamodb://My_cache.v2?region=eu-west-1&endpoint=http://127.0.0.1:1&namespace=app&ttl=24h&eventually_consistent=true&create_table=true&timeout=50ms&connections=4",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		require.NoError(t, err, rawURL)
		require.IsType(t, &dynamodb.Store{}, s)
		require.NoError(t, s.Close())
	}
	for rawURL, want := range map[string]string{
		"dynamodb://cache": "dynamodb: no region is known",
		"dynamodb://AKID:hunter2@cache?region=eu-west-1":                "dynamodb: the URL must be dynamodb://TABLE",
		"dynamodb://cache:80?region=eu-west-1":                          "dynamodb: the URL must be dynamodb://TABLE",
		"dynamodb://cache/hunter2?region=eu-west-1":                     "dynamodb: the URL must be dynamodb://TABLE",
		"dynamodb:cache?region=eu-west-1":                               "dynamodb: the URL must be dynamodb://TABLE",
		"dynamodb://c?region=eu-west-1":                                 "dynamodb: the name of the table must be",
		"dynamodb://cache?region=eu-west-1&timeout=hunter2":             "dynamodb: timeout in the URL must be a duration",
		"dynamodb://cache?region=eu-west-1&endpoint=http://u:hunter2@h": "dynamodb: Options.Endpoint must be a URL",
		"dynamodb://cache?region=eu-west-1&tiemout=1s":                  "dynamodb: the URL has options that are not known",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	for name, o := range map[string]dynamodb.Options{
		"Namespace":      {Namespace: "a:b"},
		"TTL":            {TTL: time.Millisecond},
		"MaxRecordBytes": {MaxRecordBytes: 32 << 20},
		"Timeout":        {Timeout: -1},
		"Connections":    {Connections: -1},
		"Endpoint":       {Endpoint: "127.0.0.1:8000"},
	} {
		o.Region = "eu-west-1"
		if _, err := dynamodb.Open(t.Context(), "cache", o); err == nil || !strings.HasPrefix(err.Error(), "dynamodb: Options."+name+" ") {
			t.Errorf("%s: %v, want an error that names the option", name, err)
		}
	}
	if _, err := dynamodb.New(nil, "cache", dynamodb.Options{}); err == nil {
		t.Error("New takes no client")
	}
}

func TestBadKeysAndRecordsAreRefused(t *testing.T) {
	s := open(t, "127.0.0.1:1", dynamodb.Options{})
	for _, key := range []string{"", "a b", "a#b", "ü", strings.Repeat("x", 129)} {
		_, err := s.Get(t.Context(), key)
		require.ErrorContains(t, err, "dynamodb: the key")
		_, err = s.GetMulti(t.Context(), []string{"k", key})
		require.ErrorContains(t, err, "dynamodb: the key")
		require.ErrorContains(t, s.Put(t.Context(), key, store.Record{Data: []byte("x")}), "dynamodb: the key")
		require.ErrorContains(t, s.Delete(t.Context(), key, ""), "dynamodb: the key")
		if key != "" {
			require.ErrorContains(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x"), Owner: key}), "dynamodb: the owner")
		}
	}
	require.ErrorContains(t, s.Put(t.Context(), "k", store.Record{}), "at least one byte")
}

// No error has the secret of the credentials, whatever the server answers.
func TestErrorsHaveNoSecret(t *testing.T) {
	s := open(t, "127.0.0.1:1", dynamodb.Options{})
	for _, err := range []error{s.Ping(t.Context()), s.Clear(t.Context()), s.Put(t.Context(), "k", store.Record{Data: []byte("x")})} {
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "dynamodb: ") {
			t.Errorf("%v", err)
		}
	}
}
