// Package store is what a durable or shared cache keeps its bytes in: records by key, and nothing of HTTP.
//
// A [Store] is small on purpose. The cache brings the rest along: the format of records, checksums, variants, bodies in chunks, invalidation,
// deadlines, and a breaker. What wraps a store, such as [Encrypted] and [Compressed], fits every one.
// The package store/storetest checks the whole contract, and docs/stores.md builds a store from nothing.
//
// Where to find what: store.go has the contract, the errors and the optional interfaces; as.go finds those, through wrappers as well.
// url.go opens stores by URL.
// coded.go is what the two wrappers share, encrypted.go and compressed.go are what they differ in. The stores are in packages of their own:
// store/file in this module, store/sqlite, store/redis and others in modules of theirs.
package store
