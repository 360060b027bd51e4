package stored

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
)

func TestHitFieldsAreTheAgeAndTheStatusOfAHit(t *testing.T) {
	for range 2 { // those that are made, and those that are there
		for _, test := range []struct {
			age, left time.Duration
			want      string
		}{
			{2500 * time.Millisecond, 7500 * time.Millisecond, "2"},
			{30 * time.Second, 7 * time.Second, "30"},
			{0, time.Nanosecond, "0"},
			{Longest, Longest, "2147483647"},
			{7 * time.Second, 30 * time.Second, "7"},
		} {
			got := HitFields(test.age, test.left)
			status := cachestatus.Status{Hit: true, TTL: TTL(test.left), HasTTL: true}.String()
			if got.Age != test.want || got.Status != status {
				t.Errorf("%v, %v left: Age %q, Cache-Status %q, want %q and %q", test.age, test.left, got.Age, got.Status, test.want, status)
			}
		}
	}
}

// Hits of many URLs that were stored in the same second cost no allocation for these fields.
func TestHitFieldsOfOneSecondAreMadeOnce(t *testing.T) {
	const left = 86_390 * time.Second
	first := HitFields(9*time.Second, left)
	if got := testing.AllocsPerRun(100, func() {
		if HitFields(9*time.Second+time.Millisecond, left) != first {
			t.Error("they are made again")
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
	if other := HitFields(9*time.Second, left-time.Second); other.Status == first.Status {
		t.Error("another freshness has the same Cache-Status")
	}
}

// So they do where many entries have lifetimes and ages of their own: the fields of one never serve another.
func TestHitFieldsOnOneCellAreKeptApart(t *testing.T) {
	for age := range int64(100) {
		for left := range int64(100) {
			if got := HitFields(time.Duration(age)*time.Second, time.Duration(left+1)*time.Second); got.seconds != [2]int64{age, left + 1} {
				t.Fatalf("%d, %d left: %+v", age, left+1, got)
			}
		}
	}
}
