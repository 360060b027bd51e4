package postgres

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are the SQL of a store, with the schema's name in its place.
//
// now is always a parameter: what Get takes for expired is decided by one clock with what Put takes for absent. It is not the time of the use, which never goes back.
//
// Rows that a statement changes together are locked by its inner SELECT, which skips those that another transaction has locked:
// such a statement waits for no row while it holds others, so it is in no cycle. Clear alone waits, in the order of the keys.
type statements struct {
	get, getMulti               string
	create, replace             string
	remove, removeAny           string
	list                        string
	cut, clear                  string
	size, measure               string
	expired, expiredAlone       string
	oldest, oldestFree          string
	touch, evict                string
	partsBesides, doom, orphans string
	inspect, columns            string
}

// live is the condition that a record is not over; the first parameter of fmt is the number of now.
const live = "(r.expires_at IS NULL OR r.expires_at > $%d::timestamptz)"

func newStatements(schema string) statements {
	table := pgx.Identifier{schema, "records"}.Sanitize()
	sql := func(text string) string { return strings.ReplaceAll(text, "RECORDS", table) }
	const columns = "r.key, r.version, r.kind, r.owner, r.expires_at, r.data"
	// locked is a list of keys that no other transaction changes before this one ends.
	locked := func(query string) string { return "ARRAY(" + query + " FOR UPDATE OF r SKIP LOCKED)" }
	// The lock of those who sweep is asked for once for the whole statement; another process that has it ends the statement before it looks at a row.
	const alone = " AND (SELECT pg_try_advisory_xact_lock($3::bigint))"
	expired := func(condition string) string {
		return sql("DELETE FROM RECORDS d WHERE d.key = ANY(" +
			locked("SELECT r.key FROM RECORDS r WHERE r.expires_at <= $1::timestamptz"+condition+" ORDER BY r.expires_at LIMIT $2::bigint") + ") RETURNING d.key, d.size::bigint, d.owner")
	}
	oldest := sql("SELECT r.key, r.used_at, r.size::bigint FROM RECORDS r WHERE r.owner = '' AND r.key <> $1::text AND r.used_at <= $3::timestamptz ORDER BY r.used_at LIMIT $2::bigint")
	return statements{
		get:      sql("SELECT " + columns + " FROM RECORDS r WHERE r.key = $1::text AND " + fmt.Sprintf(live, 2)),
		getMulti: sql("SELECT " + columns + " FROM RECORDS r WHERE r.key = ANY($1::text[]) AND " + fmt.Sprintf(live, 2)),
		create: sql(`WITH old AS (SELECT o.size FROM RECORDS o WHERE o.key = $1::text)
			INSERT INTO RECORDS AS r (key, kind, owner, url, size, stored_at, used_at, expires_at, data)
			VALUES ($1::text, $2::text, $3::text, $4::text, $5::integer, $6::timestamptz, $6::timestamptz, $7::timestamptz, $8::bytea)
			ON CONFLICT (key) DO UPDATE SET version = excluded.version, kind = excluded.kind, owner = excluded.owner, url = excluded.url, size = excluded.size,
				stored_at = excluded.stored_at, used_at = excluded.used_at, expires_at = excluded.expires_at, data = excluded.data
			WHERE r.expires_at <= $9::timestamptz
			RETURNING coalesce((SELECT old.size FROM old), 0)::bigint, txid_current()`),
		replace: sql(`WITH old AS (SELECT o.size FROM RECORDS o WHERE o.key = $1::text)
			UPDATE RECORDS AS r SET version = DEFAULT, kind = $2::text, owner = $3::text, url = $4::text, size = $5::integer,
				stored_at = $6::timestamptz, used_at = $6::timestamptz, expires_at = $7::timestamptz, data = $8::bytea
			WHERE r.key = $1::text AND r.version = $10::bigint AND ` + fmt.Sprintf(live, 9) + `
			RETURNING coalesce((SELECT old.size FROM old), 0)::bigint, txid_current()`),
		// The outer SELECT sees the table as it was before: a live record that was there and has not gone was changed by another, or is another version.
		remove: sql(`WITH gone AS (DELETE FROM RECORDS r WHERE r.key = $1::text AND (r.version = $3::bigint OR r.expires_at <= $2::timestamptz)
				RETURNING r.size, r.version, r.kind)
			SELECT coalesce(gone.size, 0)::bigint, coalesce(gone.version, 0), coalesce(gone.kind, ''),
				gone.size IS NULL AND EXISTS (SELECT FROM RECORDS r WHERE r.key = $1::text AND ` + fmt.Sprintf(live, 2) + `)
			FROM (SELECT) one LEFT JOIN gone ON true`),
		removeAny: sql(`DELETE FROM RECORDS r WHERE r.key = $1::text RETURNING r.size::bigint, r.version, r.kind, false`),
		// A batch ends with the row by which it has $5 bytes.
		list: sql(`SELECT ` + columns + ` FROM (
				SELECT p.key, sum(p.size) OVER (ORDER BY p.key) - p.size AS before FROM (
					SELECT k.key, k.size FROM RECORDS k WHERE k.kind = $1::text AND k.key > $2::text ORDER BY k.key LIMIT $3::bigint) p) page
			JOIN RECORDS r ON r.key = page.key WHERE page.before < $4::bigint AND r.kind = $1::text ORDER BY r.key`),
		cut: "SELECT (nextval(" + literal(pgx.Identifier{schema, "versions"}.Sanitize()) + ") << 20)",
		clear: sql(`WITH gone AS (DELETE FROM RECORDS d WHERE d.key = ANY(ARRAY(
				SELECT r.key FROM RECORDS r WHERE r.key > $1::text AND r.version < $2::bigint ORDER BY r.key LIMIT $3::bigint FOR UPDATE OF r)) RETURNING d.key, d.size)
			SELECT coalesce(max(gone.key), ''), coalesce(sum(gone.size), 0)::bigint FROM gone`),
		size: sql("SELECT count(*), coalesce(sum(r.size), 0)::bigint FROM RECORDS r"),
		measure: sql(`SELECT (SELECT coalesce(sum(r.size), 0)::bigint FROM RECORDS r), txid_snapshot_xmax(s), ARRAY(SELECT txid_snapshot_xip(s))
			FROM txid_current_snapshot() s`),
		expired:      expired(""),
		expiredAlone: expired(alone),
		oldest:       oldest,
		oldestFree:   oldest + " FOR UPDATE OF r SKIP LOCKED",
		touch: sql(`WITH due AS (SELECT r.key, u.at FROM RECORDS r JOIN unnest($1::text[], $2::timestamptz[]) u (key, at) ON u.key = r.key
				WHERE r.used_at < u.at - $3::bigint * interval '1 microsecond' FOR UPDATE OF r SKIP LOCKED)
			UPDATE RECORDS r SET used_at = due.at FROM due WHERE r.key = due.key`),
		// What was used after it was looked at stays.
		evict: sql(`DELETE FROM RECORDS d WHERE d.key = ANY(` +
			locked("SELECT r.key FROM RECORDS r JOIN unnest($1::text[], $2::timestamptz[]) v (key, at) ON v.key = r.key WHERE r.used_at = v.at") +
			`) RETURNING d.key, d.size::bigint, d.version`),
		// Parts of owners that are gone: those from before the owner's last version, or all.
		doom: sql(`DELETE FROM RECORDS d WHERE d.key = ANY(` +
			locked(`SELECT r.key FROM RECORDS r JOIN unnest($1::text[], $2::bigint[]) o (owner, version) ON r.owner = o.owner
				WHERE r.owner <> '' AND r.version < o.version LIMIT $3::bigint`) +
			`) RETURNING d.key, d.size::bigint, d.owner`),
		partsBesides: sql(`DELETE FROM RECORDS d WHERE d.key = ANY(` +
			locked(`SELECT r.key FROM RECORDS r WHERE r.owner <> '' AND r.owner <> $1::text AND r.key <> $2::text ORDER BY r.owner, r.key LIMIT $3::bigint`) +
			`) RETURNING d.key, d.size::bigint, d.owner`),
		orphans: sql(`WITH looked AS (SELECT p.owner, p.key FROM RECORDS p WHERE p.owner <> '' AND (p.owner, p.key) > ($1::text, $2::text)
				AND (SELECT pg_try_advisory_xact_lock($5::bigint)) ORDER BY p.owner, p.key LIMIT $4::bigint),
			gone AS (DELETE FROM RECORDS d WHERE d.key = ANY(` +
			locked(`SELECT r.key FROM RECORDS r JOIN looked ON looked.key = r.key
				WHERE r.stored_at < $3::timestamptz AND NOT EXISTS (SELECT FROM RECORDS o WHERE o.key = r.owner)`) + `) RETURNING d.size),
			last AS (SELECT looked.owner, looked.key FROM looked ORDER BY looked.owner DESC, looked.key DESC LIMIT 1)
			SELECT coalesce((SELECT last.owner FROM last), ''), coalesce((SELECT last.key FROM last), ''), (SELECT coalesce(sum(gone.size), 0)::bigint FROM gone)`),
		inspect: `SELECT n.nspname IS NOT NULL, c.relkind::text, coalesce(obj_description(c.oid, 'pg_class'), '')
			FROM (SELECT) one LEFT JOIN pg_namespace n ON n.nspname = $1::text LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'records'`,
		columns: `SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
			JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1::text AND c.relname = 'records' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
	}
}

// literal quotes a text as SQL does. The text has no backslash: see Options.Schema.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
