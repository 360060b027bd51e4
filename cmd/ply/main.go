// Command ply drives the library from a terminal: it gets URLs through the whole chain, and explains what a cache makes of them.
//
//	go install github.com/plyhttp/ply/cmd/ply@latest
//	ply get https://example.com
//	ply help
//
// docs/cli.md of the repository describes its commands, its settings and its exit codes.
package main

import (
	"os"

	"github.com/plyhttp/ply/cmd/ply/internal/cli"
)

func main() { os.Exit(cli.Main()) }
