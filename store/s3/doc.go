// Package s3 keeps a cache's bytes in a bucket of Amazon S3, or of another server with its interface and conditional writes, so that a fleet shares
// what outlives every machine:
//
//	shared, err := s3.Open("s3://my-bucket/http-cache?region=eu-central-1", s3.Options{})
//	c, err := cache.New(cache.Options{Store: cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), shared), StoreTimeout: time.Second})
//
// The requests are those of github.com/aws/aws-sdk-go-v2; [New] takes a client that a program has already. Open does not connect: a program starts while its server is away.
// Importing the package registers the scheme s3 with store.OpenURL.
//
// A bucket is slow (tens of milliseconds) and each request has its price: take it for large and long-lived answers, with copies in memory before it,
// and give the cache a StoreTimeout that it can keep. docs/stores-operating.md says what a hit and a miss cost.
//
// # What is where
//
// Each record is one object, PREFIX/KEY.ply, which begins with a line that people can read:
//
//	$ aws s3api get-object --bucket my-bucket --key ply/KEY.ply --range bytes=0-1023 /dev/stdout
//	ply1 5ad1c0f3 nonce=4be1d2ba09f2c357 expires=1794480000000 kind=1/entry size=1830 sum=9d2b71c4 owner= key=KEY label=https://example.com/
//
// with checksums (CRC-32C) of the line and the data, a nonce by which no two objects are alike, and the time at which the record ends, in milliseconds since 1970 (0 is never).
// All of it is in the object and none in its metadata: a GET of the first KiB costs what a HEAD does. A record has less than 2 MiB, and a server takes parts of an upload
// from 5 MiB on only, so that each is one PUT.
//
// # Changes
//
// Every change is one conditional PUT: If-None-Match: * for a new record, If-Match with the ETag for one in the place of another. A version is the nonce, the end and the ETag.
// To delete a version is to write an object without data in its place, on the same condition. A server must heed these conditions; [Store.Ping] finds out whether it does.
// An answer that got lost is no conflict: the second attempt finds the nonce of the first.
//
// # Room
//
// A bucket has no bound, and nothing that drops what was used longest ago. Give it a lifecycle rule for the prefix, in days, which must be longer than responses are to live;
// [Store.DeleteExpired] looks at every object, and is for small stores and for tests.
//
// # Files
//
//	s3.go, dial.go   Options, Open and New; the client, and URLs
//	object.go        the format of an object; versions
//	store.go         Get, Put and Delete
//	list.go          listing, clearing, sweeping
//	request.go       requests: their time, conditions, conflicts, and errors without secrets
//
// # Trust
//
// Every user who can write to the bucket can put any response into the cache. Keep the bucket private, and wrap the store with store.Encrypted if others read it.
package s3
