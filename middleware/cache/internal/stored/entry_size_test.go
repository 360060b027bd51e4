package stored

import (
	"testing"
	"unsafe"
)

// An entry takes one of the sizes in which memory is given out. With a byte more each would take 64 bytes more, which entryOverhead does not have.
func TestEntryTakesNoMoreMemoryThanItIsCharged(t *testing.T) {
	if got := unsafe.Sizeof(Entry{}); unsafe.Sizeof(uintptr(0)) == 8 && got > entryOverhead {
		t.Errorf("an entry has %d bytes", got)
	}
}
