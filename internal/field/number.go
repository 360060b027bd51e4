package field

import "time"

// MaxDelta is the largest number of seconds that a cache counts (RFC 9111 §1.2.2). Larger values are read as this one.
const MaxDelta = 1<<31 - 1

// DeltaSeconds reads a non-negative number of seconds (RFC 9111 §1.2.2): digits and nothing else, saturating at [MaxDelta].
func DeltaSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int64(s[i]-'0'); n > MaxDelta {
			n = MaxDelta
		}
	}
	return time.Duration(n) * time.Second, true
}

// Age reads an Age field (RFC 9111 §5.1). Of a list the first member counts. A value that is not a number of seconds counts as absent.
func Age(lines []string) (time.Duration, bool) {
	for member := range Members(lines) {
		return DeltaSeconds(member)
	}
	return 0, false
}
