// Package file keeps a cache's records in a directory: one file for each, with nothing but the standard library.
// Several processes may use one directory at once.
//
// Checksums, not waiting for the disk, keep what it promises: a process that is killed, or a machine that loses power, costs the records
// that were being written, and never yields a wrong one. [Options.Sync] waits for the disk, too.
//
// Where to find what: store.go has Open, Close and the options, userdir.go the directories that need no name, url.go the URL form; record.go has Get, Put and Delete; sweep.go has what Range, Clear, Size and
// DeleteExpired do, and the sweeper. dir.go opens a directory and checks that it is ours; owner_*.go says whose it must be.
// frame.go is the format of a file, state.go the format of the state that processes share. shard.go has the locks and the counts of a shard,
// lock_*.go the locks of each system, room.go the eviction. fs.go is the file system that tests replace by one that fails.
package file
