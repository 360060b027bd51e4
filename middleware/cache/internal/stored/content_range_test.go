package stored

import "testing"

// RFC 9110 §14.4: a Content-Range, with the length of the whole or without.
func TestContentRangeText(t *testing.T) {
	for want, s := range map[string]ContentRange{
		"bytes 0-0/1":              {0, 0, 1},
		"bytes 10-19/20":           {10, 19, 20},
		"bytes 1234567-2345678/*":  {1234567, 2345678, -1},
		"bytes 0-0/0":              {0, 0, 0}, // no such part is stored; the rule of "*" is about what is unknown alone
		"bytes 100-199/4294967296": {100, 199, 1 << 32},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An origin that states more than it sends: the bytes that came count.
func TestContentRangeHoldsTheBytesThatCame(t *testing.T) {
	for _, test := range []struct {
		name   string
		stated ContentRange
		size   int64
		want   ContentRange
		ok     bool
	}{
		{"as stated", ContentRange{2, 5, 10}, 4, ContentRange{2, 5, 10}, true},
		{"one byte less", ContentRange{2, 5, 10}, 3, ContentRange{2, 4, 10}, true},
		{"one byte less, at the end of the whole", ContentRange{6, 9, 10}, 3, ContentRange{6, 8, 9}, true},
		{"as stated, at the end of the whole", ContentRange{6, 9, 10}, 4, ContentRange{6, 9, 10}, true},
		{"two bytes less, at the end of the whole", ContentRange{6, 9, 10}, 2, ContentRange{6, 7, 8}, true},
		{"one byte less, one byte before the end", ContentRange{6, 8, 10}, 2, ContentRange{6, 7, 10}, true},
		{"one byte less of an unknown whole", ContentRange{2, 5, -1}, 3, ContentRange{2, 4, -1}, true},
		{"one byte", ContentRange{2, 5, 10}, 1, ContentRange{2, 2, 10}, true},
		{"nothing", ContentRange{2, 5, 10}, 0, ContentRange{}, false},
		{"one byte more", ContentRange{2, 5, 10}, 5, ContentRange{}, false},
	} {
		if got, ok := test.stated.Holding(test.size); got != test.want || ok != test.ok {
			t.Errorf("%s: %v, %t, want %v, %t", test.name, got, ok, test.want, test.ok)
		}
	}
}
