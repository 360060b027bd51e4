package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `goos: linux
BenchmarkHit/1_KiB/8_fields/serial/ply-2      	  43626	   600.0 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
BenchmarkHit/1_KiB/8_fields/parallel/ply-2    	  31284	   2048 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
BenchmarkHit/1_KiB/8_fields/serial/gregjones_httpcache-2	  10000	   6832 ns/op	  0 origin/op	 5930 B/op	 36 allocs/op
BenchmarkHit/1_KiB/8_fields/serial/ply-2      	  43626	   900.0 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
BenchmarkHit/1_KiB/8_fields/serial/ply-2      	  43626	   660.0 ns/op	  0 origin/op	  880 B/op	  3 allocs/op
BenchmarkMissAndStore/1_KiB/serial/ply-2      	  43626	  10500 ns/op	  0.99715 origin/op	  1053341 B/op	  47 allocs/op
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
Hit, 1 KiB, 8 fields, serial | time    | fastest | bytes | allocs | origin
---                          | ---     | ---     | ---   | ---    | ---
ply                          | 660 ns  | 600 ns  | 880   | 3      | 0
gregjones httpcache          | 6.83 µs | 6.83 µs | 5930  | 36     | 0

Hit, 1 KiB, 8 fields, parallel | time    | fastest | bytes | allocs | origin
---                            | ---     | ---     | ---   | ---    | ---
ply                            | 2.05 µs | 2.05 µs | 880   | 3      | 0

Miss and store, 1 KiB, serial | time    | fastest | bytes  | allocs | origin
---                           | ---     | ---     | ---    | ---    | ---
ply                           | 10.5 µs | 10.5 µs | 1.05 M | 47     | 1
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
