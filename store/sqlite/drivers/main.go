// The command drivers measures the SQLite drivers for Go that need no cgo, side by side, with what the store does: one writer, four readers, a write-ahead log.
//
//	GOWORK=off go run .
//
// It is a module of its own, so that the driver that was not chosen never reaches those who use the store.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "drivers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	var names []string
	figures := make(map[string][]string) // by what is measured, in the order of the drivers
	drivers := []string{"modernc", "ncruces"}
	for _, d := range drivers {
		program := filepath.Join(dir, d)
		build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "./"+d)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return err
		}
		info, err := os.Stat(program)
		if err != nil {
			return err
		}
		out, err := exec.Command(program).Output()
		if err != nil {
			return err
		}
		lines := fmt.Sprintf("program\t%.1f MiB\n%s", float64(info.Size())/(1<<20), out)
		for line := range strings.Lines(lines) {
			name, figure, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if figures[name] == nil {
				names = append(names, name)
			}
			figures[name] = append(figures[name], figure)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(w, "\t%s\n", strings.Join(drivers, "\t"))
	for _, name := range names {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(figures[name], "\t"))
	}
	return w.Flush()
}
