package postgres

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() { store.Register(openURL, "postgres", "postgresql") }

// openURL opens the table of a URL such as postgres://app@host/database?schema=cache&max_bytes=2GiB. What is not of Options is for pgx to read.
func openURL(_ context.Context, u *url.URL) (store.Closer, error) {
	var o Options
	options := storeurl.Take("postgres", u)
	options.String("schema", &o.Schema)
	options.Bytes("max_bytes", &o.MaxBytes)
	options.Bool("logged", &o.Logged)
	options.Duration("orphan_age", &o.OrphanAge)
	options.Duration("timeout", &o.Timeout)
	options.Int("connections", &o.Connections)
	options.String("listen_url", &o.ListenURL)
	u.RawQuery = options.Rest()
	if err := options.Err(); err != nil {
		return nil, err
	}
	names, err := unknown(u.String())
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		return nil, options.Unknown(names...)
	}
	s, err := Open(u.String(), o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// settings are those of the server that a URL may have. pgx sends what it does not know itself to the server, which would refuse a misspelled option with each connection.
var settings = []string{"application_name", "client_encoding", "datestyle", "idle_in_transaction_session_timeout", "intervalstyle", "jit", "lock_timeout", "options",
	"plan_cache_mode", "role", "search_path", "session_authorization", "statement_timeout", "synchronous_commit", "tcp_keepalives_idle", "tcp_user_timeout", "timezone", "work_mem"}

// unknown returns the options of the URL that neither pgx nor the server knows. Those of the pool begin with pool_, of which connections stands
// in the place of one; a dot is in settings of extensions.
func unknown(rawURL string) ([]string, error) {
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, errURL
	}
	names := slices.Sorted(maps.Keys(config.RuntimeParams))
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.Contains(settings, strings.ToLower(name)) || strings.HasPrefix(name, "pool_") && name != "pool_max_conns" || strings.Contains(name, ".")
	}), nil
}
