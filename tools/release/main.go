// Command release shows what a release of ply takes, and tries it. It changes nothing: no file of the repository, no tag.
//
//	go run ./tools/release plan v0.1.0        the tags, what changes in each file, and what does not fit
//	go run ./tools/release try v0.1.0         the same, then the release from a module proxy in a temporary directory
//	go run ./tools/release licences           what each module is made of, and under which licences: docs/licences.md
//	go run ./tools/release licences -texts    the texts of these licences, for who distributes the command
//
//	modules.go     the modules of the repository
//	plan.go        what fits, and what changes: rules without effects
//	try.go         the release in a temporary directory
//	proxy.go       a module proxy of files
//	licences.go    what the modules are made of
//	spdx.go        which licence a text is
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: release plan VERSION | release try VERSION | release licences [-texts]")

func run(args []string, out io.Writer) error {
	root, err := repositoryRoot()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 2 && (args[0] == "plan" || args[0] == "try"):
		r, err := open(root)
		if err != nil {
			return err
		}
		p := r.plan(args[1])
		p.write(out)
		if len(p.problems) > 0 {
			return fmt.Errorf("%d things do not fit", len(p.problems))
		}
		if args[0] == "try" {
			return r.try(p, out)
		}
		return nil
	case len(args) == 1 && args[0] == "licences":
		return writeLicences(root, out)
	case len(args) == 2 && args[0] == "licences" && args[1] == "-texts":
		return writeTexts(root, out)
	}
	return errUsage
}
