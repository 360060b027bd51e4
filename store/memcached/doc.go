// Package memcached keeps a cache's bytes in memcached servers, so that a fleet of machines shares one cache:
//
//	shared, err := memcached.Open("memcached://cache1:11211,cache2:11211", memcached.Options{})
//
// Open does not connect: a program starts while its servers are down, and uses them when they are up. The tests run with memcached 1.6.
//
// # Servers
//
// A ring of 160 points for each server (consistent hashing) says which one has a key, so that a server which is added takes over its share of the keys, and no other key moves.
// All processes name the same servers, spelled alike. What is on a server that is down is absent, and no other server takes over:
// it could be out of date there when the first one is up again. For the same reason, restart a server before you put it back into the list after it was out of it.
//
// # What is where
//
// Each record is one item, "ply:" and the cache's key, which begins with a line that people can read:
//
//	ply1 9d04af21 XJ3V2…  K7Q6M… 001794480000000 entry 4711 0 owner= key=KEY label=https://example.com/
//
// which is the format, a checksum, the record's version, the generation of the namespace, the record's end in milliseconds since 1970, and what the record is for.
// What is larger than an item may be (-I) is in chunks beside it, "ply/VERSION/0" and so on, on the same server. A chunk that is lost makes the record absent.
// All changes are compare-and-swap (add, gets and cas). Versions are random, so that none comes again after eviction or a restart.
//
// [Store.Clear] changes the generation of the namespace on each server ("ply!generation"). Other namespaces and programs lose nothing: flush_all is never sent.
//
// # The protocol
//
// The package speaks the few commands of the text protocol that it needs, with no other module. A call ends with its context, canceled or late,
// a value that others made too large is not read into memory, and a reply that belongs to another call is an error.
//
// # Files
//
//	memcached.go, url.go   Options, Open and New; URLs
//	store.go               the calls of a store: items, chunks, generations
//	ring.go                which server has a key
//	server.go, conn.go     connections that end with a context; the protocol
//
// # Trust
//
// memcached has no users that are worth the name. Everyone who reaches a server can put any response into the cache: close its port to others, or use TLS
// with certificates of clients, and store.Encrypted.
package memcached
