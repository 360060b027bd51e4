// Package mongodb keeps a cache's bytes in a collection of MongoDB, so that a fleet of machines shares one cache in the database that it has already:
//
//	shared, err := mongodb.Open(ctx, "mongodb://db.internal:27017/app", mongodb.Options{})
//
// The driver is go.mongodb.org/mongo-driver/v2; [New] takes a collection of a client that a program has. Open waits for no server: a program starts while its MongoDB is down, and uses it when it is up.
//
// # What is where
//
// Each record is one document, so that all changes are compare-and-swap by a filter: the collection is "cache", _id is the cache's key, v the version, e the end, u about the last use, n the bytes,
// and kind, owner and label say for people what it is about:
//
//	> db.cache.find({}, {d: 0}).limit(5)
//
// A document whose end is past counts as absent, whether MongoDB has removed it or not; it is the clock of the process that counts. Documents end by a TTL index,
// and where the server has none by a sweep of each process, every minute.
//
// # Room
//
// Options.MaxBytes bounds the collection. What was used longest ago goes first: a use is noted behind the caller's back, once a minute, or as soon as a record has come into the older half of the store.
//
// # Consistency
//
// Reads go to the primary, and changes are acknowledged by a majority. What a primary had not yet passed on when it failed is undone: a lost record is a miss. Change streams are not used: nothing tells
// of the changes that others make.
//
// # Files
//
//	mongodb.go, url.go   Options, Open and New; URLs
//	store.go, scan.go    the calls of a store; listing, clearing, counting
//	record.go            documents
//	room.go              making room, noting uses, sweeping
//
// # Trust
//
// Every user who can write to the collection can put any response into the cache. Use a user for it alone, TLS, and store.Encrypted if others can read it.
package mongodb
