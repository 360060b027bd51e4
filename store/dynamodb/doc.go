// Package dynamodb keeps a cache's bytes in a table of Amazon DynamoDB, so that a fleet of machines or functions shares one cache without running a server:
//
//	shared, err := dynamodb.Open(ctx, "http-cache", dynamodb.Options{})
//
// The client is that of github.com/aws/aws-sdk-go-v2; [New] takes one that a program has already. Open does not connect: a program starts while its table is away.
// The table has the partition key "id" (a string) and the TTL attribute "ttl"; [Store.CreateTable] makes it so.
//
// # What is where
//
// A record is one item, "ply:" and the cache's key, with attributes that the console shows: its version, its end in milliseconds, kind, owner and label.
// One of more than 350 KiB has chunks as well, items named by the key, a random number of this version and their own number.
// They are written before the item that names them, and deleted after the one that replaces it: what a crash leaves behind ends by its TTL. A record that lacks a chunk is absent.
//
// All changes are compare-and-swap by a ConditionExpression. Versions are random numbers.
//
// # Time
//
// DynamoDB removes items hours or days after their TTL, so a record's end is in the conditions and is checked by each reader. It is this process's clock that counts:
// the clocks of all processes that share a table must agree, as machines with NTP do.
//
// # Room and cost
//
// A table has no bound. What is written in Options.TTL, 30 days, is what it holds at most. Range, Clear and DeleteExpired read the whole table, and are paid for it.
// Reads are consistent, which costs twice as much as not; see Options.EventuallyConsistent.
//
// # Files
//
//	dynamodb.go, url.go   Options, Open and New; URLs
//	store.go, batch.go    the calls of a store; several items at once, and chunks
//	record.go             the format of a record
//	scan.go               listing and clearing
//	table.go              creating the table; errors
//
// # Trust
//
// Every principal who may write to the table can put any response into the cache. Use a role for the table alone, and store.Encrypted if others may read it.
package dynamodb
