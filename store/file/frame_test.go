package file

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/store"
)

func encoded(t *testing.T, key string, r store.Record) []byte {
	t.Helper()
	b, err := encode(key, r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The layout of a record is read by every process that has the directory open, of this version or another.
func TestRecordLayout(t *testing.T) {
	b := encoded(t, "key", store.Record{Kind: store.KindEntry, Owner: "ow", Label: "label", Data: []byte("data"), Expires: time.UnixMilli(0x0102030405060708)})
	zero := make([]byte, versionSize)
	version, sums := append([]byte(nil), b[28:44]...), append([]byte(nil), b[44:52]...)
	copy(b[28:], zero)
	copy(b[44:52], zero)
	want := hex.EncodeToString([]byte("plyf")) + "01" + hex.EncodeToString([]byte{byte(store.KindEntry)}) + "0300" + "0200" + "0500" + "0400000000000000" + "0807060504030201" +
		strings.Repeat("00", versionSize+8) + hex.EncodeToString([]byte("keyowlabeldata"))
	if diff := cmp.Diff(want, hex.EncodeToString(b)); diff != "" {
		t.Errorf("without version and checksums (-want +got):\n%s", diff)
	}
	copy(b[28:], version)
	copy(b[44:], sums)
	h, r, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	wantRecord := store.Record{Kind: store.KindEntry, Owner: "ow", Data: []byte("data"), Version: hex.EncodeToString(version), Expires: time.UnixMilli(0x0102030405060708)}
	if diff := cmp.Diff(wantRecord, r); diff != "" || h.key != "key" || h.size != int64(len(b)) || h.data != 4 {
		t.Errorf("key %q, size %d, data %d, record (-want +got):\n%s", h.key, h.size, h.data, diff)
	}
}

// All of a version is random: two records with one version could be taken for each other.
func TestVersionIsRandomInEachByte(t *testing.T) {
	var seen [versionSize]byte
	for range 64 {
		for i, c := range encoded(t, "k", store.Record{})[28 : 28+versionSize] {
			seen[i] |= c
		}
	}
	for i, c := range seen {
		if c == 0 {
			t.Errorf("byte %d of 64 versions is 0", i)
		}
	}
}

func TestNamesOfARecordHaveBounds(t *testing.T) {
	name := func(n int) string { return strings.Repeat("n", n) }
	for _, tt := range []struct {
		key, owner int
		ok         bool
	}{
		{0, 0, false},
		{0, 1, false},
		{1, 0, true},
		{maxName, maxName, true},
		{maxName + 1, 0, false},
		{1, maxName + 1, false},
	} {
		b, err := encode(name(tt.key), store.Record{Owner: name(tt.owner), Data: []byte("data")})
		if (err == nil) != tt.ok {
			t.Errorf("a key of %d bytes with an owner of %d: %v", tt.key, tt.owner, err)
			continue
		}
		if !tt.ok {
			if b != nil || strings.Contains(err.Error(), "nnn") {
				t.Errorf("a key of %d bytes with an owner of %d: %d bytes, %.100v", tt.key, tt.owner, len(b), err)
			}
			continue
		}
		if h, r, err := decode(b); err != nil || len(h.key) != tt.key || len(r.Owner) != tt.owner || string(r.Data) != "data" {
			t.Errorf("a key of %d bytes with an owner of %d comes back as %d and %d: %v", tt.key, tt.owner, len(h.key), len(r.Owner), err)
		}
	}
}

func TestLongLabelIsCut(t *testing.T) {
	for n, want := range map[int]int{0: 0, maxLabel: maxLabel, maxLabel + 1: maxLabel} {
		b := encoded(t, "k", store.Record{Label: strings.Repeat("l", n)})
		if got := len(b) - headSize - 1; got != want {
			t.Errorf("a label of %d bytes takes %d, want %d", n, got, want)
		}
	}
}

// Zero stands for a record that never expires, so no time is stored as zero.
func TestExpiresInMilliseconds(t *testing.T) {
	for _, tt := range []struct {
		at   time.Time
		want int64
	}{
		{time.Time{}, 0},
		{time.UnixMilli(-5), 1},
		{time.UnixMilli(0), 1},
		{time.UnixMilli(1), 1},
		{time.UnixMilli(2), 2},
		{time.UnixMilli(2).Add(time.Millisecond - 1), 2},
	} {
		if got := millis(tt.at); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.at, got, tt.want)
		}
	}
	now := time.UnixMilli(1000)
	for expires, want := range map[int64]bool{0: false, 1: true, 999: true, 1000: true, 1001: false} {
		if h := (head{expires: expires}); h.expired(now) != want {
			t.Errorf("a record that expires at %d is expired at 1000: %t", expires, !want)
		}
	}
}

// A head is refused for what it says, also if its checksum is right: another program, or a later version, may have written it.
func TestHeadThatSaysSomethingElseIsNoRecord(t *testing.T) {
	whole := encoded(t, "key", store.Record{Owner: "ow", Data: []byte("data")})
	names := int64(len("keyow"))
	resummed := func(change func(b []byte)) []byte {
		b := append([]byte(nil), whole...)
		change(b)
		binary.LittleEndian.PutUint32(b[48:], headSum(b[:headSize+names]))
		return b
	}
	for name, b := range map[string][]byte{
		"another magic":                      resummed(func(b []byte) { b[3] = 'g' }),
		"another version of the format":      resummed(func(b []byte) { b[4] = formatVersion + 1 }),
		"more data than the file has":        resummed(func(b []byte) { b[12]++ }),
		"less data than the file has":        resummed(func(b []byte) { b[12]-- }),
		"more names than the file has":       resummed(func(b []byte) { b[10]++ }),
		"a length of data that is no length": resummed(func(b []byte) { b[12+7] = 0x80 }),
		"a length of data that overflows": resummed(func(b []byte) {
			binary.LittleEndian.PutUint64(b[12:], 1<<63)
		}),
	} {
		if _, _, err := decode(b); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v, want errCorrupt", name, err)
		}
		if n, ok := lengths(b, int64(len(b))); ok {
			t.Errorf("%s: begins like a record with names of %d bytes", name, n)
		}
	}
	if got, ok := lengths(whole[:headSize], int64(len(whole))); !ok || int64(got) != names {
		t.Errorf("the head alone: names of %d bytes, %t, want %d", got, ok, names)
	}
	for i := range headSize + int(names) { // unlike the data, which has a checksum of its own
		b := append([]byte(nil), whole...)
		b[i] ^= 1
		if h, err := decodeHead(b, int64(len(b))); !errors.Is(err, errCorrupt) || h != (head{}) {
			t.Errorf("byte %d changed: %+v, %v, want errCorrupt", i, h, err)
		}
	}
	for n := range headSize {
		if got, ok := lengths(whole[:n], int64(n)); ok || got != 0 {
			t.Errorf("%d bytes begin like a record", n)
		}
	}
	huge := resummed(func(b []byte) { binary.LittleEndian.PutUint64(b[12:], 1<<48-1) })
	if _, ok := lengths(huge, headSize+names+1<<48-1); !ok {
		t.Error("the largest record is refused")
	}
	huge = resummed(func(b []byte) { binary.LittleEndian.PutUint64(b[12:], 1<<48) })
	if _, ok := lengths(huge, headSize+names+1<<48); ok {
		t.Error("a record that is too large for any disk is accepted")
	}
	// What is read of a file first need not hold all of its names.
	for n := headSize; n < headSize+int(names); n++ {
		if _, err := decodeHead(whole[:n], int64(len(whole))); !errors.Is(err, errCorrupt) {
			t.Errorf("the first %d bytes: %v, want errCorrupt", n, err)
		}
	}
	if h, err := decodeHead(whole[:headSize+names], int64(len(whole))); err != nil || h.key != "key" || h.owner != "ow" {
		t.Errorf("head and names: %+v, %v", h, err)
	}
}
