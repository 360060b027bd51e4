package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/postgres"
)

func TestOpenURLTakesItsOptionsAndLeavesTheDriverIts(t *testing.T) {
	for _, rawURL := range []string{
		"postgres://user:hunter2@127.0.0.1:1/db",
		"postgresql://127.0.0.1:1,127.0.0.1:2/db?sslmode=disable",
		"postgres:///db?host=/run/postgresql&application_name=shop&statement_timeout=1s&default_query_exec_mode=exec&pool_max_conn_lifetime=1h",
		"postgres://127.0.0.1:1/db?schema=shop&max_bytes=2GiB&logged=true&orphan_age=1h&timeout=50ms&connections=4&listen_url=postgres%3A%2F%2F127.0.0.1%3A2%2Fdb",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if err != nil {
			t.Errorf("%s: %v", rawURL, err)
			continue
		}
		if _, ok := s.(*postgres.Store); !ok {
			t.Errorf("%s: %T", rawURL, s)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", rawURL, err)
		}
	}
	for rawURL, want := range map[string]string{
		"postgres://:hunter2@h:1/db?timeout=hunter2":                           "postgres: timeout in the URL must be a duration such as 30s",
		"postgres://:hunter2@h:1/db?max_bytes=1":                               "postgres: Options.MaxBytes is 1",
		"postgres://:hunter2@h:1/db?tiemout=1s":                                `postgres: the URL has options that are not known: "tiemout"; known are`,
		"postgres://:hunter2@h:1/db?pool_max_conns=4":                          `postgres: the URL has options that are not known: "pool_max_conns"; known are connections`,
		"postgres://u:12?hunter2@h/db":                                         "postgres: the URL has options that are not known, or a password",
		"postgres://:hunter2@h:1/db?sslmode=hunter2":                           "postgres: the URL is not understood",
		"postgres://:hunter2@h:port/db":                                        "store: the URL cannot be parsed",
		"postgres://h:1/db?listen_url=postgres%3A%2F%2Fu%3Ahunter2%40h%3Aport": "postgres: Options.ListenURL: postgres: the URL is not understood",
	} {
		s, err := store.OpenURL(t.Context(), rawURL)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want %s", rawURL, s, err, want)
		}
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	for want, o := range map[string]postgres.Options{
		"postgres: Options.Schema is \"a\\\\b\"":   {Schema: `a\b`},
		"postgres: Options.Schema is \"a\\n\"":     {Schema: "a\n"},
		"postgres: Options.Schema is \"\\xff\"":    {Schema: "\xff"},
		"postgres: Options.Schema is \"xxxxxxxx":   {Schema: strings.Repeat("x", 60)},
		"postgres: Options.Schema is \"pg_mine\"":  {Schema: "pg_mine"},
		"postgres: Options.MaxBytes is 1000":       {MaxBytes: 1000},
		"postgres: Options.MaxBytes is -1":         {MaxBytes: -1},
		"postgres: Options.OrphanAge is -1ns":      {OrphanAge: -1},
		"postgres: Options.Timeout is -1ns":        {Timeout: -1},
		"postgres: Options.Connections is -1":      {Connections: -1},
		"postgres: Options.Connections is 100000:": {Connections: 100000},
	} {
		if _, err := postgres.Open("postgres://127.0.0.1:1/db", o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Open: %v, want %s", err, want)
		}
		if _, err := postgres.SQL(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("SQL: %v, want %s", err, want)
		}
	}
	if _, err := postgres.New(nil, postgres.Options{}); err == nil {
		t.Error("New takes nil")
	}
}

// Open returns while the server is away, and calls say so until it is there.
func TestOpenDoesNotConnect(t *testing.T) {
	s, err := postgres.Open("postgres://user:hunter2@127.0.0.1:1/db", postgres.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Get(t.Context(), "k")
	if err == nil || !strings.HasPrefix(err.Error(), "postgres: get: ") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Get: %v, want an error without the password", err)
	}
	for _, key := range []string{"", "a b", "a\n", "ü", "a/b", strings.Repeat("x", 129)} {
		ctx := t.Context()
		_, err := s.Get(ctx, key)
		_, err2 := s.GetMulti(ctx, []string{key})
		errs := []error{err, err2, s.Put(ctx, key, store.Record{Data: []byte("x")}), s.Delete(ctx, key, "")}
		if key != "" {
			errs = append(errs, s.Put(ctx, "k", store.Record{Data: []byte("x"), Owner: key}))
		}
		for i, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "key") {
				t.Errorf("call %d with the key %q: %v", i, key, err)
			}
		}
	}
	if err := s.Put(t.Context(), "k", store.Record{}); err == nil || !strings.Contains(err.Error(), "at least one byte") {
		t.Errorf("Put without data: %v", err)
	}
}
