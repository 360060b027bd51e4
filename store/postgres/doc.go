// Package postgres keeps a cache's bytes in PostgreSQL, so that a fleet that has one shares a cache without a further server:
//
//	shared, err := postgres.Open("postgres://app:password@db.internal/app", postgres.Options{})
//
// The connections are those of github.com/jackc/pgx; [New] takes a pool that a program has already.
// Open does not connect: a program starts while its database is down, and uses it when it is up. The tests run with PostgreSQL 15.
//
// # What is where
//
// Everything is in one schema, "ply" unless [Options.Schema] names another: the table records, the sequence versions, and two views for people:
//
//	=> SELECT url, size, pieces, used_at FROM ply.entries LIMIT 20;
//	=> SELECT * FROM ply.contents;
//	=> DELETE FROM ply.records WHERE url = 'https://example.com/';
//
// The first call makes them if they are not there. [SQL] returns the statements, for a database whose administrator makes them.
// A table with other columns is refused, and so is one of a later version of this package.
//
// Every change is one statement that compares and swaps: INSERT … ON CONFLICT … WHERE the record is over, or UPDATE … WHERE the version is the expected one.
// Versions come from the sequence, with random bits below it, so that not even a failover to a replica that lags brings one again.
// Statements on several rows lock them first and skip those that are locked, or take them in the order of their keys, so no two of them can deadlock.
//
// # Unlogged by default
//
// The table is UNLOGGED: it writes no log, goes to no replica, and is empty after the server has crashed. That is what a cache wants.
// [Options.Logged] makes it a table like others.
//
// # Hearing of changes
//
// [Store.Notify] listens (LISTEN) on a connection of its own, which must lead to the server itself: where the URL leads to a pgbouncer
// that pools transactions, [Options.ListenURL] names the server. Each store tells of its changes right after they have been made, many keys in one notification.
//
// # Files
//
//	postgres.go, url.go        Options, Open and New; URLs
//	schema.go, schema.sql      the tables: made, recognised, refused
//	call.go, statements.go     calls that end with their context, and their errors; the statements
//	store.go, list.go          the calls of a store; listing, clearing, counting
//	room.go, evict.go          how full the store is; eviction
//	keeper.go, uses.go         what no call waits for: expired records, pieces without an owner, times of use
//	notify.go, announce.go     changes that others make, and those that this store makes itself
//
// # Trust
//
// Every user who can write to the table can put any response into the cache. Give the cache a role of its own, TLS ("sslmode=verify-full"), and store.Encrypted if others share the table.
package postgres
