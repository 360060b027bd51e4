package hedge

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestZeroOptionsHaveTheirDefaults(t *testing.T) {
	want := Options{Quantile: 0.95, MinDelay: 2 * time.Millisecond, MinSamples: 20, MaxHedges: 1, MaxKeys: 1024}
	if diff := cmp.Diff(want, Options{}.withDefaults(), cmpopts.IgnoreFields(Options{}, "Budget", "Usable", "Key")); diff != "" {
		t.Error(diff)
	}
}

func TestQuantileIsComputedAnewForSixteenRequests(t *testing.T) {
	l := &latency{}
	for range 20 {
		l.add(time.Millisecond)
	}
	before, _ := l.quantile(0.5, 20)
	for i := range 16 {
		l.add(time.Second)
		if d, _ := l.quantile(0.9, 20); d != before && i < 15 {
			t.Fatalf("%v after %d requests more", d, i+1)
		}
	}
	if d, ok := l.quantile(0.9, 20); d != time.Second || !ok {
		t.Errorf("%v after sixteen slow requests", d)
	}
	if _, ok := l.quantile(0.9, 37); ok {
		t.Error("36 requests are enough for 37")
	}
}
