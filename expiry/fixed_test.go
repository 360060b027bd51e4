package expiry_test

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/expiry"
)

func TestFixedLifetimes(t *testing.T) {
	x := exchange("http://h/", 200, "Cache-Control: max-age=5, no-store")
	for _, test := range []struct {
		name string
		s    expiry.Strategy
		want string
	}{
		{"After", expiry.After(time.Hour), "overrule 1h0m0s"},
		{"After nothing", expiry.After(-1), "overrule 0s"},
		{"At", expiry.At(now.Add(time.Minute)), "overrule 1m0s"},
		{"At a time in another zone", expiry.At(now.Add(time.Minute).In(time.FixedZone("x", 5*3600))), "overrule 1m0s"},
		{"At a time that has passed", expiry.At(now.Add(-time.Minute)), "overrule 0s"},
		{"NeverExpires", expiry.NeverExpires(), "overrule 596523h14m7s"},
		{"AlwaysRevalidate", expiry.AlwaysRevalidate(), "overrule 0s"},
		{"NoStore", expiry.NoStore(), "refuse"},
		{"Default", expiry.Default(), "5s"},
	} {
		if got := verdict(test.s.Expiry(x)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestLifetimesFromReceiptDoNotCountUpstreamAge(t *testing.T) {
	if got := expiry.Lifetime(time.Hour).For(10 * time.Minute); got != 70*time.Minute {
		t.Errorf("lifetime of a response 10 minutes old on receipt: %v, want 70 minutes", got)
	}
	if got := expiry.Follow(time.Hour).For(10 * time.Minute); got != time.Hour {
		t.Errorf("the server's hour: %v", got)
	}
}
