package field

import (
	"testing"
	"time"
)

// RFC 9111 §1.2.2: delta-seconds.
func TestDeltaSeconds(t *testing.T) {
	for _, test := range []struct {
		s    string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true}, {"60", time.Minute, true}, {"003600", time.Hour, true},
		{"2147483647", MaxDelta * time.Second, true}, {"2147483648", MaxDelta * time.Second, true},
		{"9223372037", MaxDelta * time.Second, true}, {"99999999999999999999", MaxDelta * time.Second, true},
		{"", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {"1.5", 0, false}, {"0x1", 0, false}, {" 1", 0, false}, {"1a", 0, false}, {"٣", 0, false},
	} {
		if got, ok := DeltaSeconds(test.s); got != test.want || ok != test.ok {
			t.Errorf("DeltaSeconds(%q) = %v, %v, want %v, %v", test.s, got, ok, test.want, test.ok)
		}
	}
}

// RFC 9111 §5.1: of a list the first member counts; what is invalid counts as absent.
func TestAge(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  time.Duration
		ok    bool
	}{
		{[]string{"60"}, time.Minute, true}, {[]string{"60, 0"}, time.Minute, true}, {[]string{"0", "60"}, 0, true},
		{[]string{"abc"}, 0, false}, {[]string{"-60"}, 0, false}, {[]string{"60.0"}, 0, false}, {[]string{"60;a=b"}, 0, false}, {nil, 0, false},
	} {
		if got, ok := Age(test.lines); got != test.want || ok != test.ok {
			t.Errorf("Age(%q) = %v, %v, want %v, %v", test.lines, got, ok, test.want, test.ok)
		}
	}
}
