package storeline_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/storeline"
	"github.com/plyhttp/ply/store"
)

// Every bit that is flipped and every byte that is missing, in the line or behind it, is noticed.
func TestDamageIsNoticed(t *testing.T) {
	r := store.Record{Data: []byte("the data"), Kind: store.KindBody, Owner: "owner", Label: "label", Expires: time.UnixMilli(1_790_000_000_000)}
	value := append(storeline.New("key", "VERSION", "G", r).Encode(storeline.Sum(r.Data)), r.Data...)
	sound := func(value []byte) bool {
		l, data, ok := storeline.Decode(value)
		return ok && l.Proves(data)
	}
	if !sound(value) {
		t.Fatal("the value itself is not sound")
	}
	for i := range value {
		if sound(value[:i]) {
			t.Errorf("cut to %d bytes it is sound", i)
		}
		for bit := range 8 {
			damaged := bytes.Clone(value)
			damaged[i] ^= 1 << bit
			if sound(damaged) && !equalButForCase(value, damaged, i) {
				t.Errorf("with bit %d of byte %d flipped it is sound: %q", bit, i, damaged)
			}
		}
	}
	if sound(append(bytes.Clone(value), 'x')) {
		t.Error("with a byte more it is sound")
	}
}

// equalButForCase reports whether the byte is a digit of the checksum that stands for the same number.
func equalButForCase(a, b []byte, i int) bool {
	return i < len("ply1 00000000") && strings.EqualFold(string(a), string(b))
}

func TestChunks(t *testing.T) {
	for _, tt := range []struct{ size, chunk, want int }{{10, 0, 0}, {10, 10, 1}, {11, 10, 2}, {20, 10, 2}, {1, 10, 1}} {
		if got := (storeline.Line{Size: tt.size, Chunk: tt.chunk}).Chunks(); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
	l := storeline.New("k", "V", "G", store.Record{Data: make([]byte, 10_000)})
	for chunk, want := range map[int]bool{1: false, 2: false, 3: true, 5000: true} { // 4096 chunks at most
		l.Chunk = chunk
		if _, _, ok := storeline.Decode(l.Encode(0)); ok != want {
			t.Errorf("chunks of %d bytes: %v, want %v", chunk, ok, want)
		}
	}
}

func TestCheckRecord(t *testing.T) {
	for _, key := range []string{"", "a b", "a\n", "ü", "a/b", strings.Repeat("x", 129)} {
		if err := storeline.CheckRecord("pkg", key, store.Record{Data: []byte("x")}); err == nil || !strings.HasPrefix(err.Error(), "pkg: the key") {
			t.Errorf("key %q: %v", key, err)
		}
		if err := storeline.CheckRecord("pkg", "k", store.Record{Data: []byte("x"), Owner: key}); key != "" && (err == nil || !strings.HasPrefix(err.Error(), "pkg: the owner")) {
			t.Errorf("owner %q: %v", key, err)
		}
	}
	if err := storeline.CheckRecord("pkg", "k", store.Record{}); err == nil {
		t.Error("a record without data is taken")
	}
	if err := storeline.CheckRecord("pkg", strings.Repeat("x", 128), store.Record{Data: []byte("x"), Owner: "o"}); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	r := store.Record{Data: []byte("data"), Kind: store.KindEntry, Owner: "o", Label: "l"}
	f.Add(append(storeline.New("k", "V", "G", r).Encode(storeline.Sum(r.Data)), r.Data...))
	f.Add([]byte("ply1 00000000 V G 000000000000000 entry 4711 100 owner= key=k label=\n"))
	f.Add([]byte("ply2 "))
	f.Fuzz(func(t *testing.T, value []byte) {
		l, data, ok := storeline.Decode(value)
		if !ok {
			return
		}
		if l.Size <= 0 || l.Chunks() > storeline.MaxChunks || l.Chunk == 0 && len(data) != l.Size {
			t.Fatalf("%+v with %d bytes", l, len(data))
		}
		l.Proves(data)
		l.Record(data)
		if again, _, ok := storeline.Decode(append(l.Encode(0), data...)); !ok || again.Version != l.Version || again.Key != l.Key || again.Expires != l.Expires {
			t.Fatalf("%+v became %+v, %v", l, again, ok)
		}
	})
}
