// Package mdcode checks the Go in Markdown: that each block compiles and is formatted. It runs whole programs, too, and compares what they print.
// Nothing is built for a type check: the export data of all imports is loaded once, and the blocks are checked in this process.
//
// A block is what stands between ```go and ```. It is one of three:
//
//   - a program, if it begins with a package clause. If a ```text block follows it, that is what the program prints.
//   - declarations (func, type, var), if it can stand at the top level of a file
//   - statements, of a function that returns an error or nothing. Variables that they do not use are forgiven.
//
// What a block does not declare comes, in this order, from a comment above it, <!-- go: db *sql.DB, Widget struct{ID string} -->,
// from a block of declarations elsewhere on the page, from the names that are common to all pages (predeclared in source.go),
// and from the packages, by their names. A block of declarations or statements may begin with imports of its own.
//
// The comment <!-- go: ecosystem --> marks a block that needs the libraries of package internal/ecosystem; other names may follow after a comma.
//
//	block.go     the blocks of a page, with what stands around them
//	source.go    a block as a file: its kind, its unresolved names and where they come from
//	packages.go  packages by name, and their export data, from the go command
//	check.go     the type check; names.go asks it for single names; race.go is for tests with -race
//	run.go       programs and tests, run
package mdcode
