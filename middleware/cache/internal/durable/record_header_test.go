package durable

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// readHeader reads the bytes of a header by encoding/binary, and reports whether they hold what they say.
func readHeader(b []byte) (http.Header, bool) {
	ok := true
	number := func() int {
		n, length := binary.Uvarint(b)
		if ok = ok && length > 0 && n <= uint64(len(b)); !ok {
			return 0
		}
		b = b[length:]
		return int(n)
	}
	text := func() string {
		n := number()
		if ok = ok && n <= len(b); !ok {
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	h := http.Header{}
	fields := number()
	for range fields {
		name, lines := text(), []string{}
		for range number() {
			lines = append(lines, text())
		}
		h[name] = lines
	}
	return h, ok && len(b) == 0 && len(h) == fields
}

// FuzzHeaderOfARecord: a header that decoding takes is read by all methods of [stored.Header] as encoding/binary reads it, and is served so.
func FuzzHeaderOfARecord(f *testing.F) {
	for _, h := range []http.Header{
		{"A": {"1", "2"}, "B": {}, "Cache-Status": {"edge; hit"}, "Age": {"7", "8"}},
		{"Cache-Status": {}, "Age": {}, "cache-status": {"in another case"}, "age": {"9"}},
	} {
		f.Add([]byte(stored.NewHeader(h)))
	}
	for _, damaged := range []string{"\x01\x01A\x80\x00", "\x01\x81\x00A\x00", "\x01\x01A\x01\x80\x01", "\x02\x01A\x00\x01A\x00", "\x81\x00\x01A\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		f.Add([]byte(damaged))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		e := sample().Entries[2]
		e.Header = stored.NewHeader(http.Header{"Placeholder": {"of the header"}})
		entry := bytes.Replace(append([]byte{1}, appendEntry(nil, e)...), []byte(e.Header), header, 1)
		record := binary.LittleEndian.AppendUint32(append(Framed(nil), goldenHash[:]...), uint32(len(entry)))
		set, err := decode(Seal(append(record, entry...), entryKind), goldenHash)
		if err != nil {
			return
		}
		for _, e := range set.Entries {
			checkHeader(t, e.Header)
			checkHeader(t, e.Trailer())
			checkServed(t, e)
		}
	})
}

func checkHeader(t *testing.T, h stored.Header) {
	t.Helper()
	want, ok := readHeader(appendHeader(nil, h))
	if !ok || h.Len() != len(want) || stored.NewHeader(want) != h {
		t.Fatalf("decoding took %x", h)
	}
	if diff := cmp.Diff(want, h.Map(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the map of %x (-want +got)\n%s", h, diff)
	}
	for name, lines := range h.All() {
		first := append(want[name], "")[0]
		if lines.Len() != len(want[name]) || !h.Has(name) || h.Get(name) != first || !cmp.Equal(want[name], h.Lines(name)) || !cmp.Equal(want[name], lines.AppendTo([]string{})) {
			t.Fatalf("%s of %x: %q", name, h, h.Lines(name))
		}
	}
}

// checkServed fails if an answer has other fields than those that are stored and the cache's own, or if two answers share them.
func checkServed(t *testing.T, e *stored.Entry) {
	t.Helper()
	for range 2 {
		want := e.Header.Map()
		want["Age"] = []string{"7"}
		want["Cache-Status"] = append(want["Cache-Status"], "ply; hit")
		got := e.Response(nil, false, "7", "ply; hit", stored.Form{}).Header
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%x served (-want +got)\n%s", e.Header, diff)
		}
		for name, lines := range got {
			for i := range lines {
				lines[i] = "changed by the caller"
			}
			got[name] = append(lines, "and appended")
		}
	}
}
