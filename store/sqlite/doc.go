// Package sqlite keeps a cache's bytes in one SQLite file, which survives restarts and which several processes may share.
// It is a [github.com/plyhttp/ply/store.Store], and needs no cgo.
//
//	file, err := sqlite.Open("/var/cache/app/cache.db", sqlite.Options{MaxBytes: 512 << 20})
//	…
//	defer file.Close()                                        // after the cache
//	c, err := cache.New(cache.Options{Store: file})
//
// The directory must be this user's alone, and on a local disk. Importing the package registers the scheme sqlite with store.OpenURL.
// To keep what is in the file from those who read the disk, wrap the store with store.Encrypted.
//
// # What holds
//
//   - A record is returned exactly as it was put, or not at all. Each has a checksum over its bytes, its key, its version and all else that comes back:
//     whatever a disk, a crash or a stray program does to the file, a record becomes absent and never another one.
//   - A killed process leaves nothing half done. What Put has returned nil for is there; pieces of bodies that never got their entry are removed after Options.OrphanAge.
//   - Several stores and processes may have the file open. They wait for each other, in steps of a millisecond, for as long as their contexts last;
//     "database is locked" is not an answer. A local file system is needed: SQLite's shared memory and its locks do not work over NFS.
//   - The file is bounded. What was used longest ago goes first, an entry with all its pieces.
//     The sizes are kept by triggers, in the same transaction, so that they are right even after rows were deleted by hand.
//   - Reading writes nothing. When a record was used is kept in memory and written down once a minute, and when the store is closed.
//   - Free pages go back to the file system a few at a time; the write-ahead log is moved into the file in the background and has at most 64 MiB, even if another program
//     keeps a transaction open for hours: then Put returns an error, and the cache goes on without storing.
//   - If the file is removed or replaced while it is open, the next call opens what the name leads to now, and makes a new file if that is nothing.
//
// Records of up to 32 MiB are taken. The cache cuts bodies into pieces of 256 KiB, so that one of a gigabyte needs no more memory than a small one.
//
// A call is not interrupted in the middle of one piece of work, which takes microseconds, but between two, and in every wait.
// What no store can do is to leave a read that the kernel does not return from; the cache does not wait for it.
//
// # Files
//
//	sqlite.go, url.go, optional.go   Options and Open; URLs; what a store may offer beside Get, Put and Delete
//	lookup.go, records.go, checksum.go   records: reading, writing, checksums
//	file.go, file_*.go           the file and its rights, by system
//	database.go, conn.go, codes.go   its tables; connections; the errors of SQLite
//	room.go, keeper.go, uses.go  bounds and eviction; upkeep in the background; when records were used
//
// # Looking into it
//
// Any sqlite3 shell opens the file, while it is in use too. The schema explains itself:
//
//	sqlite3 cache.db .schema
//	sqlite3 cache.db 'SELECT * FROM entries LIMIT 20'
//	sqlite3 cache.db 'SELECT * FROM contents'
//
// Don't open the file in the same process by other means than SQLite, to copy it for instance: when a process closes a file, POSIX takes away all of the process's locks on it.
//
// # The driver
//
// It is modernc.org/sqlite, which is SQLite's own C code, translated. The store calls that code itself: database/sql and a driver make some 40 objects
// for a record that is read, which takes longer than to read it. The other one without cgo, ncruces/go-sqlite3, was measured beside it
// (go run . in the directory drivers) and is as fast; but it comes with file handling of its own, which makes the -shm file readable for others where the umask allows it.
package sqlite
