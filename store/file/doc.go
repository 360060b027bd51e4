// Package file keeps a cache's responses in a directory: one file for each record, with nothing but the standard library.
// They are still there after a restart, and several processes may use one directory at once.
//
//	dir, err := file.UserCacheDir("mytool/http")                       // or a directory of your own
//	…
//	files, err := file.Open(dir, file.Options{MaxBytes: 512 << 20})
//	…
//	defer files.Close()                                                // after the cache
//	c, err := cache.New(cache.Options{Store: files})
//
// [OpenTemp] makes a directory for one run of a program. Importing the package registers the scheme file with [store.OpenURL].
//
// # Who may read and write it
//
// The directory and its files are for this user alone (0700, 0600). [Open] refuses a directory that others may write to, that belongs to another user,
// that is a symlink, or that holds other things: a planted file would be a planted answer. It must be on a local disk.
// To keep what is in it from those who read the disk, wrap the store with [store.Encrypted].
//
// # Room and crashes
//
// [Options.MaxBytes] bounds the files of all processes together; what was used longest ago goes first. Deleting files by hand is safe.
// Checksums, not waiting for the disk, keep what the package promises: a process that is killed, or a machine that loses power, costs the records
// that were being written, and never yields a wrong one. [Options.Sync] waits for the disk, too.
//
// # Where to find what
//
// store.go has Open, Close and the options, userdir.go the directories that need no name, url.go the URL form; record.go has Get, Put and Delete;
// sweep.go has DeleteExpired and the sweeper, clear.go Clear, scan.go Range and a look at all files of a shard, scan_*.go what that takes on each system.
// dir.go opens a directory and checks that it is ours; owner_*.go says whose it must be.
// frame.go is the format of a file, state.go the format of the state that processes share. shard.go has the locks and the counts of a shard,
// lock_*.go the locks of each system, room.go the eviction and Size. direct_*.go reads a record in the fewest calls of the system. fs.go is the file system
// that tests replace by one that fails.
package file
