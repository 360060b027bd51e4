// Package nats keeps a cache's bytes in a bucket of NATS JetStream's key-value store, so that a fleet of machines shares one cache:
//
//	shared, err := nats.Open("nats://cache.internal:4222", nats.Options{})
//
// Open does not wait for a connection: a program starts while its server is down, and uses it when it is up. The connection is that of github.com/nats-io/nats.go;
// [New] takes one that a program has already. The tests run with nats-server 2.15; 2.11 and newer drop expired records themselves, older ones when the bucket is full.
//
// # What is where
//
// Each record is a message in the bucket "ply", with a history of 1, under "r." and the cache's key, in which '/' stands for ':' and '=' for '.'.
// It begins with a line that people can read:
//
//	$ nats kv ls ply
//	$ nats kv get ply r.KEY --raw | head -1
//	ply1 9d04af21 XJ3V2… - 001794480000000 entry 4711 0 owner= key=KEY label=https://example.com/
//
// which is the format, a checksum, the record's version, its end in milliseconds since 1970, and what the record is for. What is larger than a message (max_payload)
// is in chunks, "c.VERSION.0" and so on. A chunk that is lost makes the record absent.
//
// All changes are compare-and-swap, by the number of the message that is replaced. A record's version is a random number in its line and not that number,
// which begins again at 1 when a bucket is deleted and made again.
//
// # Room
//
// A bucket that others make refuses what is new when it is full. Those that this package makes drop what was written longest ago (DiscardOld), and a record that is read
// while it is in the older half of a bucket that is more than half full is written again: so it is what was used longest ago that goes.
//
// # Files
//
//	nats.go, url.go    Options, Open, New and Close; URLs
//	call.go            calls that end with their context; finding and making the bucket
//	store.go           Get, Put and Delete
//	room.go            keeping what is used
//	range.go           listing and clearing
//	notify.go          changes that others make
//
// # Trust
//
// Every user who can write to the bucket can put any response into the cache. Use accounts and permissions of NATS, TLS, and store.Encrypted if others share the account.
package nats
