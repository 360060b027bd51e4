package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `goos: linux
BenchmarkHit/1_KiB/8_fields/serial/ply-2      	  43626	   600.0 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
BenchmarkHit/1_KiB/8_fields/parallel/ply-2    	  31284	   2048 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
BenchmarkHit/1_KiB/8_fields/serial/gregjones-2	  10000	   6832 ns/op	  0 origin/op	 5930 B/op	 36 allocs/op
BenchmarkHit/1_KiB/8_fields/serial/ply-2      	  43626	   900.0 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
BenchmarkHit/1_KiB/8_fields/serial/ply-2      	  43626	   660.0 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
PASS
`

func TestTheTableShowsMediansSideBySide(t *testing.T) {
	var made table
	made.read(strings.NewReader(printed))
	var out strings.Builder
	if err := made.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `
Hit, 1 KiB, 8 fields, serial | time    | spread | bytes | allocs | origin
---                          | ---     | ---    | ---   | ---    | ---
ply                          | 660 ns  | ±23 %  | 880   | 3      | 0
gregjones                    | 6.83 µs | ±0 %   | 5930  | 36     | 0

Hit, 1 KiB, 8 fields, parallel | time    | spread | bytes | allocs | origin
---                            | ---     | ---    | ---   | ---    | ---
ply                            | 2.05 µs | ±0 %   | 880   | 3      | 0
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithoutResultsThereIsAnError(t *testing.T) {
	if err := new(table).print(new(strings.Builder)); err == nil {
		t.Error("no error")
	}
}
