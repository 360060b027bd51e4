// Package redis keeps a cache's bytes in Redis, Valkey or Dragonfly, so that a fleet of machines shares one cache:
//
//	shared, err := redis.Open("redis://cache.internal:6379", redis.Options{})
//
// The connections are those of github.com/redis/go-redis; [New] takes a client that a program has already. Single servers, clusters and sentinels will do.
// Open does not connect: a program starts while its Redis is down, and uses it when it is up. The tests run with Redis 7.0.
//
// # What is where
//
// Each record is one string, "ply:" and the cache's key, with a time to live. It begins with a line that people can read:
//
//	$ redis-cli --scan --pattern 'ply:*'
//	$ redis-cli getrange ply:KEY 0 300
//	ply1 4be1d2ba09f2c357 001794480000000 entry owner= key=KEY label=https://example.com/
//
// which is the format, the record's version, its end in milliseconds since 1970 (0 is never), and what the record is for. All changes are compare-and-swap in one round trip,
// by a script of one key, which clusters like, or by SET with NX for what is large and new. A key that holds something else than a string is left alone, a string that no ply wrote is replaced.
//
// # Eviction
//
// Let Redis drop what was used longest ago: "maxmemory 1gb" and "maxmemory-policy allkeys-lru" (or allkeys-lfu). All records expire, so the volatile-
// policies work as well. With noeviction a full Redis refuses to store, and nothing else happens.
//
// # Hearing of changes
//
// [Store.Notify] has the server say which keys change (CLIENT TRACKING, in broadcasting mode, for the prefix only), on a connection of its own to each
// server. The store itself keeps no copies: those in L1 belong to the cache that listens.
// It needs Redis 6, RESP3 and the right to use CLIENT. Where that is not to be had, "anything may have changed" is said about every second.
//
// # Files
//
//	redis.go, dial.go, url.go    Options, Open and New; connections; URLs
//	store.go, scan.go            the calls of a store; listing
//	record.go, script.go         the format of a record; changes by compare-and-swap
//	call.go, limit.go, resp.go   calls that end with their context; replies that announce too much
//	mget.go                      several records in one reply
//	notify.go, track.go, echo.go   changes that others make, and those that this store makes itself
//	log.go                       what go-redis logs
//
// # Trust
//
// Every user who can write to the Redis can put any response into the cache. Use a user and password, TLS ("rediss://"), and store.Encrypted if others share the server.
package redis
