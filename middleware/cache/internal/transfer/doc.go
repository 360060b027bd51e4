// Package transfer is the stream that entries of a cache move in: from one store to another, or into a file. docs/moving.md describes it byte by byte.
//
//	frame.go     frames, each with a checksum that those before it go into
//	header.go    what a stream says about the cache that it is from
//	writer.go    entries and their bodies, in
//	reader.go    and out
//
// A reader trusts nothing: each length is checked before it is allocated, and no more is held than one frame.
package transfer
