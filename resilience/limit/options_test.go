package limit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestZeroOptionsHaveTheirDefaults(t *testing.T) {
	base := Options{Queue: 1000, MaxRetryAfter: time.Minute, MaxKeys: 1024}
	with := func(edit func(*Options)) Options {
		o := base
		edit(&o)
		return o
	}
	for _, tt := range []struct {
		name     string
		in, want Options
	}{
		{"nothing", Options{}, base},
		{"a rate", Options{Rate: 50}, with(func(o *Options) { o.Rate, o.Burst = 50, 5 })},
		{"a low rate", Options{Rate: 0.5}, with(func(o *Options) { o.Rate, o.Burst = 0.5, 1 })},
		{"adaptive", Options{Adaptive: &Adaptive{}}, with(func(o *Options) { o.InFlight, o.Adaptive = 1000, &Adaptive{Initial: 20, Min: 2, Tolerance: 2} })},
		{"adaptive with few slots", Options{InFlight: 5, Adaptive: &Adaptive{}}, with(func(o *Options) { o.InFlight, o.Adaptive = 5, &Adaptive{Initial: 5, Min: 2, Tolerance: 2} })},
		{"adaptive from one", Options{Adaptive: &Adaptive{Initial: 1}}, with(func(o *Options) { o.InFlight, o.Adaptive = 1000, &Adaptive{Initial: 1, Min: 1, Tolerance: 2} })},
		{"adaptive with a floor", Options{Adaptive: &Adaptive{Min: 50}}, with(func(o *Options) { o.InFlight, o.Adaptive = 1000, &Adaptive{Initial: 50, Min: 50, Tolerance: 2} })},
	} {
		if err := tt.in.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, tt.in.withDefaults(), cmpopts.IgnoreFields(Options{}, "Key")); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
