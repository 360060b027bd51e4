package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// table is what has been measured of each kind of store.
type table struct {
	kinds  []string
	absent map[string]string
	runs   map[string]map[size][]measurement
}

func newTable(kinds []string, absent map[string]string) *table {
	return &table{kinds, absent, make(map[string]map[size][]measurement)}
}

func (t *table) add(kind string, n size, m measurement) {
	if t.runs[kind] == nil {
		t.runs[kind] = make(map[size][]measurement)
	}
	t.runs[kind][n] = append(t.runs[kind][n], m)
}

// print writes a table for each operation, in Markdown that can also be read as it is.
func (t *table) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 1, ' ', 0)
	for o := range operations {
		fmt.Fprintf(w, "\n| %s\t", titles[o])
		for _, n := range sizes {
			fmt.Fprintf(w, "| %v\t", n)
		}
		fmt.Fprint(w, "|\n| ---\t")
		for range sizes {
			fmt.Fprint(w, "| ---\t")
		}
		fmt.Fprint(w, "|\n")
		for _, kind := range t.kinds {
			fmt.Fprintf(w, "| %s\t", kind)
			for _, n := range sizes {
				fmt.Fprintf(w, "| %s\t", short(median(t.runs[kind][n], o)))
			}
			fmt.Fprint(w, "|\n")
		}
		for _, kind := range slices.Sorted(maps.Keys(t.absent)) {
			fmt.Fprintf(w, "| %s\t| %s\t", kind, t.absent[kind])
			for range sizes[1:] {
				fmt.Fprint(w, "| \t")
			}
			fmt.Fprint(w, "|\n")
		}
	}
	return w.Flush()
}

// median returns the middle one, or of two the lower.
func median(runs []measurement, o operation) time.Duration {
	if len(runs) == 0 {
		return 0
	}
	var values []time.Duration
	for _, m := range runs {
		values = append(values, m[o])
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// short is a duration with two or three digits.
func short(d time.Duration) string {
	switch µs := float64(d) / 1e3; {
	case µs < 10:
		return fmt.Sprintf("%.1f µs", µs)
	case µs < 1e3:
		return fmt.Sprintf("%.0f µs", µs)
	case µs < 10e3:
		return fmt.Sprintf("%.1f ms", µs/1e3)
	}
	return fmt.Sprintf("%.0f ms", float64(d)/1e6)
}
