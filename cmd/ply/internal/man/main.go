// Command man writes the manual pages of ply into a directory:
//
//	go run ./internal/man /usr/local/share/man/man1
//
// It is a program of its own, so that ply does not carry what makes the pages.
package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/plyhttp/ply/cmd/ply/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

// write writes a page for each command. SOURCE_DATE_EPOCH is the date of the pages, for builds that can be repeated; without it they have that of today.
func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root := cli.NewRootCommand()
	root.DisableAutoGenTag = true
	addExitStatus(root)
	return doc.GenManTree(root, &doc.GenManHeader{Title: "PLY", Section: "1", Source: "ply", Manual: "ply"}, dir)
}

// addExitStatus has each page end its description with the exit codes, which --help shows at its end.
func addExitStatus(c *cobra.Command) {
	c.Long = cmp.Or(c.Long, c.Short) + "\n\n# EXIT STATUS\n\n```\n" + cli.ExitCodeHelp + "\n```\n"
	for _, below := range c.Commands() {
		addExitStatus(below)
	}
}
