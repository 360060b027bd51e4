package breaker

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestZeroOptionsHaveTheirDefaults(t *testing.T) {
	want := Options{FailureRate: 0.7, MinRequests: 10, Window: 10 * time.Second, OpenFor: 5 * time.Second, Probes: 1, ProbeTimeout: 10 * time.Second, MinTimeout: time.Second, MaxKeys: 1024}
	if diff := cmp.Diff(want, Options{}.withDefaults(), cmpopts.IgnoreFields(Options{}, "Rules", "Key", "OnChange")); diff != "" {
		t.Error(diff)
	}
}
