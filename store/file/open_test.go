package file

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// What Open does to the file system does not grow with the records: a store that was closed in order is believed, and counted behind Open.
func TestOpenCostsTheSameForManyRecords(t *testing.T) {
	operations := func(records int) int {
		dir := t.TempDir()
		s := openIn(t, dir, Options{})
		for i := range records {
			mustPut(t, s, fmt.Sprint("k", i), store.Record{Data: []byte("x")})
		}
		require.NoError(t, s.Close())
		f := &faults{}
		root, err := openRoot(dir)
		require.NoError(t, err)
		p := &place{fs: flaky{root, f}}
		f.turn(true)
		// prepare is what Open does before it returns; the sweeper, which counts, comes after it.
		_, err = s.prepare(t.Context(), p)
		f.turn(false)
		require.NoError(t, err)
		require.NoError(t, p.close())
		return len(f.ops)
	}
	if few, many := operations(1), operations(500); many != few {
		t.Errorf("Open of a directory with 500 records takes %d operations, of one with 1 record %d", many, few)
	}
}

// Slots that are clean and wrong, as a loss of power or a deletion by hand leaves them, are made right after Open, and what a writer left is removed. Size waits for it.
func TestOpenCountsWhatCleanSlotsHaveWrong(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, Options{})
	for i := range 20 {
		mustPut(t, s, fmt.Sprint("k", i), store.Record{Data: []byte("x")})
	}
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(pathOf(dir, "k3")))
	left := filepath.Join(filepath.Dir(pathOf(dir, "k4")), tempPrefix+rand.Text())
	require.NoError(t, os.WriteFile(left, []byte("half of it"), 0o600))
	again := openIn(t, dir, Options{})
	if records, _, err := again.Size(t.Context()); err != nil || records != 19 {
		t.Errorf("Size: %d records, %v, want 19: one was deleted by hand", records, err)
	}
	checkDir(t, dir, again, "after Size")
}
