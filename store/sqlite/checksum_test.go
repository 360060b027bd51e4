package sqlite

import (
	"database/sql/driver"
	"testing"

	"github.com/plyhttp/ply/store"
)

// Every bit of a record of 4 KiB, and of what is kept beside it, counts; and so does every length.
func TestChecksumCoversEveryBit(t *testing.T) {
	expires := int64(1 << 50)
	r := store.Record{Data: make([]byte, 4096), Kind: store.KindEntry, Owner: "owner"}
	for i := range r.Data {
		r.Data[i] = byte(i * 7)
	}
	fresh := func() []driver.Value { // kind, owner, url, expires_at, version, checksum, bytes
		return []driver.Value{int64(r.Kind), r.Owner, "https://example.com/", expires, int64(12345), checksum("key", 12345, &expires, r), append([]byte(nil), r.Data...)}
	}
	if got, err := record("key", fresh()); err != nil || got.Version == "" {
		t.Fatalf("the record itself: %v", err)
	}
	wrong := func(what string, key string, row []driver.Value) {
		t.Helper()
		if got, err := record(key, row); err == nil && got.Version != "" {
			t.Fatalf("%s: not noticed", what)
		}
	}
	for bit := range 8 * len(r.Data) {
		row := fresh()
		row[6].([]byte)[bit/8] ^= 1 << (bit % 8)
		wrong("a bit of the data", "key", row)
	}
	for n := range r.Data {
		row := fresh()
		row[6] = r.Data[:n]
		wrong("data cut off", "key", row)
	}
	for _, column := range []int{0, 3, 4, 5} {
		if number, ok := fresh()[column].(int64); ok {
			for bit := range 63 {
				row := fresh()
				row[column] = number ^ 1<<bit
				if column == 0 && bit >= 8 {
					continue // a kind has eight bits
				}
				wrong("a bit of a number", "key", row)
			}
		}
	}
	for bit := range 8 * len(r.Owner) {
		row, owner := fresh(), []byte(r.Owner)
		owner[bit/8] ^= 1 << (bit % 8)
		row[1] = string(owner)
		wrong("a bit of the owner", "key", row)
	}
	for _, key := range []string{"", "k", "ke", "kex", "keyo", "Key"} {
		wrong("the key "+key, key, fresh())
	}
	row := fresh()
	row[3] = nil
	wrong("no end", "key", row)
	row = fresh()
	row[6] = nil
	wrong("no data", "key", row)
}
