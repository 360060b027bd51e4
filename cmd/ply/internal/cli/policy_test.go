package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPolicyIsReadWordByWord(t *testing.T) {
	tests := []struct {
		text string
		want policy
	}{
		{"none", policy{}},
		{"cache", policy{caches: true}},
		{"cache=shared", policy{caches: true, shared: true}},
		{"cache, stale-if-error=1h, retry=3,hedge=50ms", policy{caches: true, ifError: time.Hour, attempts: 3, hedge: 50 * time.Millisecond}},
		{"cache=private,fresh=10m,stale-while-revalidate=30s", policy{caches: true, fresh: 10 * time.Minute, whileRevalid: 30 * time.Second}},
		{"retry=2,attempt-timeout=1s", policy{attempts: 2, attemptTimeout: time.Second}},
	}
	for _, tt := range tests {
		got, err := parsePolicy(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		tt.want.text = tt.text
		if diff := cmp.Diff(tt.want, *got, cmp.AllowUnexported(policy{})); diff != "" {
			t.Errorf("%s: %s", tt.text, diff)
		}
	}
}

// The caret of an error stands below what is wrong.
func TestPolicyErrorPointsAtThePlace(t *testing.T) {
	tests := []struct {
		text string
		at   int
		why  string
	}{
		{"cache,retyr=3", 6, "retyr is not known"},
		{"cache, retry=many", 13, "a number"},
		{"cache,hedge=50", 12, "duration"},
		{"cache,hedge", 11, "duration"},
		{"cache=all", 6, "private or shared"},
		{"cache,cache", 6, "twice"},
		{"retry=3,fresh=1h", 8, "needs cache"},
		{"attempt-timeout=1s", 0, "needs retry"},
		{"cache,,retry=3", 6, "missing"},
		{"", 0, "missing"},
		{"cache,none", 6, "none stands alone"},
		{"none,cache", 0, "none stands alone"},
		{"none=1", 0, "none stands alone"},
		{"retry=0", 6, "1 to 100"},
		{"cache,stale-if-error=-1h", 21, "above zero"},
	}
	for _, tt := range tests {
		_, err := parsePolicy(tt.text)
		if err == nil {
			t.Errorf("%q: no error", tt.text)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if got := strings.Index(lines[len(lines)-1], "^") - 2; got != tt.at || !strings.Contains(lines[0], tt.why) {
			t.Errorf("%q: caret at %d, want %d: %v", tt.text, got, tt.at, err)
		}
	}
}
