package cache

import (
	"testing"
	"unsafe"
)

// What a miss allocates most of fits the size classes of the runtime, which adds eight bytes to what is larger than 512: a field more would cost 128 bytes for each miss.
func TestSizesOfAMiss(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		return // elsewhere all of it is smaller
	}
	for _, test := range []struct {
		name      string
		got, most uintptr
	}{
		{"exchangeRoom", unsafe.Sizeof(exchangeRoom{}), 1280 - 8},
		{"inflightFetch", unsafe.Sizeof(inflightFetch{}), 1280 - 8},
		{"sharedBody", unsafe.Sizeof(sharedBody{}), 768 - 8},
	} {
		if test.got > test.most {
			t.Errorf("%s has %d bytes, more than %d: order its fields by size, or take something out", test.name, test.got, test.most)
		}
	}
}
