// Stores measures the cache over each store that ply has, and prints a table: what a hit, a miss that is stored and a revalidation take, for bodies of 1 KiB to 16 MiB.
//
//	go run ./benchmarks/stores
//	go run ./benchmarks/stores -count 5 -time 500ms -dir /mnt/disk
//
// The origin is in memory. Redis is a redis-server of its own, behind a Unix socket, that keeps nothing on the disk; where none is installed its rows say so.
// Each figure is the median of its runs, which go through all stores in turn, so that a noisy minute does not strike all runs of one.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	count := flag.Int("count", 3, "runs of each measurement")
	length := flag.Duration("time", 100*time.Millisecond, "how long each run takes, at least")
	dir := flag.String("dir", "", "where files are made; the system's directory for temporary files if empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *count, *length); err != nil {
		fmt.Fprintln(os.Stderr, "stores:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, parent string, count int, length time.Duration) error {
	if count < 1 {
		return fmt.Errorf("-count is %d: there must be one run at least", count)
	}
	dir, err := os.MkdirTemp(parent, "ply-stores-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	k, err := newKinds(ctx, dir)
	if err != nil {
		return err
	}
	defer k.stop()
	results := newTable(k.names(), k.absent)
	for i := range count {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", i+1, count)
		for _, kind := range k.all {
			for _, n := range sizes {
				m, err := measure(ctx, kind, n, length)
				if err != nil {
					return fmt.Errorf("%s, %v: %w", kind.name, n, err)
				}
				results.add(kind.name, n, m)
			}
		}
	}
	return results.print(os.Stdout)
}
