package storeline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plyhttp/ply/store"
)

func TestLineIsDecodedAsItWasEncoded(t *testing.T) {
	data := []byte("some data")
	l := New("k", "v1", "g1", store.Record{Data: data, Kind: store.KindEntry, Owner: "o", Label: "GET https://x.test/ a", Expires: time.UnixMilli(1700)})
	chunked := l
	chunked.Chunk = 4
	for name, tt := range map[string]struct {
		line  Line
		after []byte // what follows the line in its value
	}{
		"data behind the line": {l, data},
		"data in chunks":       {chunked, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, after, ok := Decode(append(tt.line.Encode(Sum(data)), tt.after...))
			if diff := cmp.Diff(tt.line, got, cmpopts.IgnoreUnexported(Line{})); !ok || diff != "" || string(after) != string(tt.after) {
				t.Fatalf("decoded: %t, %q behind it (-want +got):\n%s", ok, after, diff)
			}
			if !got.Proves(data) || got.Proves([]byte("some dat!")) || got.Proves(data[1:]) {
				t.Error("the sum does not tell the data from others")
			}
		})
	}
}

// What a line says of its data must fit what is there: a value that was cut short, or that another program wrote, is no record.
func TestLineThatDoesNotFitItsDataIsRefused(t *testing.T) {
	data := []byte("some data")
	for name, tt := range map[string]struct {
		size, chunk int
		after       string
	}{
		"no data":                 {0, 0, ""},
		"less data than it says":  {9, 0, "some dat"},
		"more data than it says":  {9, 0, "some data!"},
		"chunks, and data":        {9, 4, "some data"},
		"more chunks than may be": {MaxChunks + 1, 1, ""},
	} {
		l := New("k", "v1", "g1", store.Record{Data: data, Kind: store.KindBody})
		l.Size, l.Chunk = tt.size, tt.chunk
		if _, _, ok := Decode(append(l.Encode(Sum(data)), tt.after...)); ok {
			t.Errorf("%s: it counts as a record", name)
		}
	}
	whole := string(New("k", "v1", "g1", store.Record{Data: data, Kind: store.KindBody}).Encode(Sum(data)))
	for name, value := range map[string]string{
		"nothing":            "",
		"a text":             "hello\n",
		"no end of the line": strings.TrimSuffix(whole, "\n"),
		"another kind":       strings.Replace(whole, " body ", " unknown ", 1) + string(data),
		"a field less":       strings.Replace(whole, " owner=", "", 1) + string(data),
		"another name":       strings.Replace(whole, "owner=", "owned=", 1) + string(data),
		"a version of none":  strings.Replace(whole, " v1 ", "  ", 1) + string(data),
	} {
		if _, _, ok := Decode([]byte(value)); ok {
			t.Errorf("%s: it counts as a record", name)
		}
	}
	largest := New("k", "v1", "g1", store.Record{Data: data, Kind: store.KindBody})
	largest.Size, largest.Chunk = MaxChunks, 1
	if _, _, ok := Decode(largest.Encode(Sum(data))); !ok {
		t.Error("as many chunks as may be: refused")
	}
}
