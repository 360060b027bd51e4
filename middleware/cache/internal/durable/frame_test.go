package durable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// framed makes a record of any frame, with the checksum that it ought to have.
func framed(magic string, kind, version byte, payload string) []byte {
	record := append(Framed(nil), payload...)
	copy(record, magic)
	record[3], record[4] = kind, version
	reseal(record)
	return record
}

// A frame is refused as damage, or, whatever its kind, as that of a later version. What a later version has written must not be taken for damage: it stays.
func TestUnsealChecksTheFrame(t *testing.T) {
	wrongSum := framed("ply", 'E', recordVersion, "payload")
	wrongSum[len(wrongSum)-1]++
	for name, test := range map[string]struct {
		record []byte
		want   string
		err    error
	}{
		"whole":                               {framed("ply", 'E', recordVersion, "payload"), "payload", nil},
		"without a payload":                   {framed("ply", 'E', recordVersion, ""), "", nil},
		"another kind":                        {framed("ply", 'B', recordVersion, "payload"), "", ErrDamaged},
		"another magic":                       {framed("plz", 'E', recordVersion, "payload"), "", ErrDamaged},
		"a version before the first":          {framed("ply", 'E', recordVersion-1, "payload"), "", ErrDamaged},
		"a later version":                     {framed("ply", 'E', recordVersion+1, "payload"), "", ErrNewer},
		"a later version of another kind":     {framed("ply", 'Z', recordVersion+9, "payload"), "", ErrNewer},
		"a later version of what is not ours": {framed("abc", 'E', recordVersion+1, "payload"), "", ErrDamaged},
		"a wrong checksum":                    {wrongSum, "", ErrDamaged},
		"nothing":                             {nil, "", ErrDamaged},
		"less than a frame":                   {framed("ply", 'E', recordVersion, "")[:frameBytes-1], "", ErrDamaged},
		"what stands for a newer store":       {newerRecord.Data, "", ErrNewer},
	} {
		payload, err := Unseal(test.record, 'E')
		if !errors.Is(err, test.err) || string(payload) != test.want {
			t.Errorf("%s: %q, %v", name, payload, err)
		}
	}
}

// The bytes of a number can be read in one way only, so that a record can be written in one way only.
func TestWireReadsWhatFitsAndNothingAfterDamage(t *testing.T) {
	uvarint := func(n uint64) string { return string(binary.AppendUvarint(nil, n)) }
	varint := func(n int64) string { return string(binary.AppendVarint(nil, n)) }
	reads := map[string]func(w *Wire) any{
		"byte":     func(w *Wire) any { return w.Byte() },
		"uint":     func(w *Wire) any { return w.uint() },
		"int":      func(w *Wire) any { return w.int() },
		"size":     func(w *Wire) any { return w.size() },
		"text":     func(w *Wire) any { return w.text() },
		"line":     func(w *Wire) any { return w.line() },
		"pairs":    func(w *Wire) any { return w.count(2) },
		"id":       func(w *Wire) any { return w.ID() },
		"duration": func(w *Wire) any { return int64(w.duration()) },
	}
	for _, test := range []struct {
		read, rest string
		want       any // nil if the wire is bad
		left       string
	}{
		{"byte", "\x07x", byte(7), "x"},
		{"byte", "", nil, ""},
		{"uint", "\x00", uint64(0), ""},
		{"uint", "\x7f!", uint64(127), "!"},
		{"uint", "\x80\x01!", uint64(128), "!"},
		{"uint", uvarint(math.MaxUint64), uint64(math.MaxUint64), ""},
		{"uint", uvarint(1 << 63), uint64(1 << 63), ""},
		{"uint", "", nil, ""},
		{"uint", "\x80", nil, ""},
		{"uint", "\x80\x00", nil, ""},     // 0 in two bytes
		{"uint", "\xff\x80\x00", nil, ""}, // 127 in three
		{"uint", strings.Repeat("\xff", 9) + "\x02", nil, ""},
		{"uint", strings.Repeat("\xff", 9) + "\x81\x01", nil, ""},
		{"uint", strings.Repeat("\x80", 9) + "\x80\x01", nil, ""},
		{"uint", strings.Repeat("\x80", 11), nil, ""},
		{"int", varint(-1), int64(-1), ""},
		{"int", varint(math.MinInt64), int64(math.MinInt64), ""},
		{"int", varint(math.MaxInt64), int64(math.MaxInt64), ""},
		{"size", uvarint(1<<62 - 1), int64(1<<62 - 1), ""},
		{"size", uvarint(1 << 62), nil, ""},
		{"text", "\x03abcd", "abc", "d"},
		{"text", "\x03abc", "abc", ""},
		{"text", "\x00", "", ""},
		{"text", "\x03ab", nil, ""},
		{"text", uvarint(math.MaxUint64) + "ab", nil, ""},
		{"line", "\x03a b", "a b", ""},
		{"line", "\x03a\rb", nil, ""},
		{"line", "\x03a\nb", nil, ""},
		{"line", "\x03a\x00b", nil, ""},
		{"pairs", "\x00", 0, ""},
		{"pairs", "\x02abcd", 2, "abcd"},
		{"pairs", "\x02abc", nil, ""},
		{"pairs", uvarint(math.MaxUint64) + "abcd", nil, ""},
		{"id", strings.Repeat("i", 16) + "x", [16]byte([]byte(strings.Repeat("i", 16))), "x"},
		{"id", strings.Repeat("i", 15), nil, ""},
		{"duration", varint(int64(maxDuration)), int64(maxDuration), ""},
		{"duration", varint(int64(-maxDuration)), int64(-maxDuration), ""},
		{"duration", varint(int64(maxDuration) + 1), nil, ""},
		{"duration", varint(int64(-maxDuration) - 1), nil, ""},
	} {
		w := Wire{Rest: test.rest}
		got := reads[test.read](&w)
		if test.want == nil {
			if !w.Bad || w.Rest != "" {
				t.Errorf("%s of %q: %v, and the wire is good", test.read, test.rest, got)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" || w.Bad || w.Rest != test.left {
			t.Errorf("%s of %q: %q is left, bad: %t (-want +got)\n%s", test.read, test.rest, w.Rest, w.Bad, diff)
		}
	}
	for name, read := range reads {
		w := Wire{Rest: strings.Repeat("\x01", 100)}
		w.fail()
		got := read(&w)
		if !reflect.ValueOf(got).IsZero() || !w.Bad {
			t.Errorf("%s after damage: %v", name, got)
		}
	}
}

// The fields of a header are in the order of their names, each once; what a connection is about is none of them.
func TestWireHeaderIsInOrderAndHasNoFieldTwice(t *testing.T) {
	field := func(name string, lines ...string) string {
		return string(appendNames(AppendText(nil, name), lines))
	}
	for name, test := range map[string]struct {
		wire  string
		lines int // that may be in the record, names included
		good  bool
	}{
		"none":                              {"\x00", 0, true},
		"two":                               {"\x02" + field("A", "1", "2") + field("B", "3"), 5, true},
		"more than there may be":            {"\x02" + field("A", "1", "2") + field("B", "3"), 4, false},
		"more names than there may be":      {"\x02" + field("A") + field("B"), 1, false},
		"empty lines at the end":            {"\x01" + field("A", "", "", ""), 4, true},
		"one name twice":                    {"\x02" + field("A", "1") + field("A", "1"), 9, false},
		"out of order":                      {"\x02" + field("B", "1") + field("A", "1"), 9, false},
		"a third that is the first again":   {"\x03" + field("A", "1") + field("B", "1") + field("A", "1"), 9, false},
		"no token":                          {"\x01" + field("A B", "1"), 9, false},
		"a field of the connection":         {"\x01" + field("Te", "1"), 9, false},
		"a line that ends early":            {"\x01" + field("A", "1\n"), 9, false},
		"a name that is cut off":            {"\x02" + field("A", "1") + "\x05B", 9, false},
		"a number of lines beyond the rest": {"\x01\x01A\x05\x01a", 9, false},
	} {
		w, left := Wire{Rest: test.wire}, test.lines
		h := w.header(&left)
		if w.Bad == test.good || test.good && w.Rest != "" {
			t.Errorf("%s: %v, bad: %t, %q is left", name, h, w.Bad, w.Rest)
		}
		if test.good && left != 0 {
			t.Errorf("%s: %d of %d items are not charged", name, left, test.lines)
		}
		if again := appendHeader(nil, h); test.good && !bytes.Equal(again, []byte(test.wire)) {
			t.Errorf("%s: written again as %q", name, again)
		}
	}
}

// A selector says with one byte, 0 or 1, whether the request had its field, and names a field.
func TestWireSelectorsArePresentOrNot(t *testing.T) {
	for name, test := range map[string]struct {
		wire string
		left int
		good bool
	}{
		"absent":         {"\x01\x01A\x00\x00\x00", 1, true},
		"present":        {"\x01\x01A\x01\x01v\x01r", 1, true},
		"neither":        {"\x01\x01A\x02\x01v\x01r", 1, false},
		"no token":       {"\x01\x01 \x01\x01v\x01r", 1, false},
		"without a name": {"\x01\x00\x01\x01v\x01r", 1, false},
		"cut off":        {"\x01\x01A\x01\x05vr", 1, false},
		"one too many":   {"\x01\x01A\x00\x00\x00", 0, false},
	} {
		w := Wire{Rest: test.wire}
		got := w.selectors(&test.left)
		if w.Bad == test.good || test.good && string(appendSelectors(nil, got)) != test.wire {
			t.Errorf("%s: %+v, bad: %t", name, got, w.Bad)
		}
	}
}

// A record key has the name that a store lists, and the hash that the record has.
func TestRecordKeyIsFoundByItsName(t *testing.T) {
	private, shared := New(nil, 0, 0, false), New(nil, 0, 0, true)
	key := private.RecordKey("key")
	const name = "e1.104f408bc09f0a9c71686f0cf5718e38595c3edb27b7e691fe2bb11e7937fb3e" // SHA-256 of "private", NUL, "key"
	if key.Name != name || key == shared.RecordKey("key") || key != private.RecordKey("key") || key == private.RecordKey("kez") {
		t.Errorf("%+v: a private cache and a shared one have keys of their own", key)
	}
	for name, want := range map[string]bool{
		key.Name: true, key.Name[:len(key.Name)-1]: false, key.Name + "0": false, "E1." + key.Name[3:]: false, "e2." + key.Name[3:]: false,
		"e1." + strings.Repeat("x", 64): false, "e1." + strings.Repeat("0", 63) + "g": false, "": false, "e1.": false,
	} {
		got, ok := parseRecordKey(name)
		if ok != want || ok && got != key {
			t.Errorf("%q: %t, %+v", name, ok, got)
		}
	}
}
