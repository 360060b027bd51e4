// Package store is what a cache keeps its responses in when they outlive the process, or are shared by several.
//
//	files, err := file.Open("/var/cache/app", file.Options{})           // or a store of another package
//	…
//	defer files.Close()                                                 // after the cache
//	c, err := cache.New(cache.Options{Store: files})
//
// A program that has its store in its configuration opens it with [OpenURL].
// The stores are in packages of their own: store/file in this module; store/sqlite, store/redis, store/postgres, store/memcached, store/nats, store/s3,
// store/dynamodb and store/mongodb in modules of theirs. docs/stores.md says which one to take.
//
// # Wrappers
//
// [Encrypted] and [Compressed] fit every store. To have both, compress first: Compressed(Encrypted(s)).
//
// # Failure
//
// A store that fails, hangs or forgets costs hits and no request: to a cache any error is a miss. So a program starts, and goes on, while its store is away.
// The errors that mean more than that are [ErrConflict], [ErrNewer] and [ErrTooLarge].
//
// # Write a store
//
// A [Store] keeps records by key, and knows nothing of HTTP. It is three methods; what else it does well is in optional interfaces such as [Ranger], which [As] finds.
// The cache brings the rest along: the format of records, checksums, variants, bodies in chunks, invalidation, deadlines, and a breaker.
// The package store/storetest checks the whole contract, and docs/stores.md builds a store from nothing.
//
// Where to find what: store.go has the contract, the errors and the optional interfaces; as.go finds those, through wrappers as well.
// url.go opens stores by URL.
// coded.go is what the two wrappers share, encrypted.go and compressed.go are what they differ in.
package store
