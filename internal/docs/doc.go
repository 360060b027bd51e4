// Package docs tests the documents: the Go in README.md and docs/*.md compiles and prints what they show, their links lead somewhere, their lines can be read.
// It is a module of its own, since the pages use all modules.
//
// Check one page, here docs/caching.md:
//
//	go test ./internal/docs -run '/^caching$'
//
// What a block may use without declaring it stands in package internal/mdcode. Blocks that need the libraries of internal/ecosystem are checked there.
package docs
