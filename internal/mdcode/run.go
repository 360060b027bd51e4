package mdcode

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Runs reports whether a block can be run: a program whose output the page shows, or a file of tests.
func Runs(b Block) bool {
	src, err := parse(b)
	return err == nil && src.kind == program && (src.isTest || b.HasOutput)
}

// Run runs a block: a program, whose output is to be what the page shows, or a file of tests, which are to pass.
func (c *Checker) Run(ctx context.Context, b Block) error {
	src, err := parse(b)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mdcode")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name, args := "main.go", []string{"run"}
	if src.isTest {
		name, args = "page_test.go", []string{"test", "-vet=off"}
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(b.Code), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append(append(args, c.packages.flags...), file)...)
	cmd.Dir = c.dir // for its go.mod
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case err != nil:
		return fmt.Errorf("%s:%d: %w\n%s%s", b.Page, b.Line, err, out, &stderr)
	case b.HasOutput && !src.isTest && string(out) != b.Output:
		return fmt.Errorf("%s:%d: the program prints\n%s\nwhere the page shows\n%s", b.Page, b.Line, out, b.Output)
	}
	return nil
}
