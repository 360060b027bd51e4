package field

import (
	"strings"
	"time"
)

// Date reads an HTTP-date in one of its three formats and no other (RFC 9110 §5.6.7).
// Case does not matter, as RFC 9111 §4.2 advises caches; a zone other than GMT makes the date invalid, for the same reason.
// A date with a two-digit year that would be more than fifty years after now is one of the past.
func Date(s string, now time.Time) (time.Time, bool) {
	switch {
	case matches(s, "www, dd mmm dddd dd:dd:dd gmt"):
		return instant(number(s[12:16]), s[8:11], s[5:7], s[17:25])
	case matches(s, "www mmm dd dd:dd:dd dddd") || matches(s, "www mmm  d dd:dd:dd dddd"):
		return instant(number(s[20:24]), s[4:7], s[8:10], s[11:19])
	}
	day, rest := cutWeekday(s)
	if !matches(rest, ", dd-mmm-dd dd:dd:dd gmt") || !isLongWeekday(day) {
		return time.Time{}, false
	}
	// Of the years with these last two digits, the latest that is at most fifty years ahead.
	limit := now.AddDate(50, 0, 0)
	for year := now.UTC().Year()/100*100 + 100 + number(rest[9:11]); year > now.UTC().Year()-100; year -= 100 {
		if t, ok := instant(year, rest[5:8], rest[2:4], rest[12:20]); ok && !t.After(limit) {
			return t, true
		}
	}
	return time.Time{}, false
}

// DateField reads a field that holds one date. It reports false for several lines.
func DateField(lines []string, now time.Time) (time.Time, bool) {
	if len(lines) != 1 {
		return time.Time{}, false
	}
	return Date(TrimOWS(lines[0]), now)
}

// matches compares s with a pattern in which d is a digit, www a short weekday, mmm a month, and the rest stands for itself in either case.
func matches(s, pattern string) bool {
	if len(s) != len(pattern) {
		return false
	}
	for i := 0; i < len(pattern); i++ {
		switch c := lowerByte(s[i]); pattern[i] {
		case 'd':
			if c < '0' || c > '9' {
				return false
			}
		case 'w', 'm':
			if pattern[i] == 'm' && i > 0 && pattern[i-1] == 'g' {
				if c != 'm' {
					return false
				}
				continue
			}
			if c < 'a' || c > 'z' {
				return false
			}
		default:
			if c != pattern[i] {
				return false
			}
		}
	}
	return pattern[0] != 'w' || isShortWeekday(s[:3])
}

var weekdays = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func isShortWeekday(s string) bool {
	switch string([]byte{lowerByte(s[0]), lowerByte(s[1]), lowerByte(s[2])}) {
	case "sun", "mon", "tue", "wed", "thu", "fri", "sat":
		return true
	}
	return false
}

func isLongWeekday(s string) bool {
	for _, day := range weekdays {
		if EqualFold(s, day) {
			return true
		}
	}
	return false
}

// cutWeekday returns what is before the first comma, and the rest.
func cutWeekday(s string) (day, rest string) {
	day, _, _ = strings.Cut(s, ",")
	return day, s[len(day):]
}

func number(digits string) int {
	n := 0
	for i := 0; i < len(digits); i++ {
		if digits[i] != ' ' {
			n = n*10 + int(digits[i]-'0')
		}
	}
	return n
}

// month returns the number of a month by its three letters, or 0.
func month(name string) int {
	switch string([]byte{lowerByte(name[0]), lowerByte(name[1]), lowerByte(name[2])}) {
	case "jan":
		return 1
	case "feb":
		return 2
	case "mar":
		return 3
	case "apr":
		return 4
	case "may":
		return 5
	case "jun":
		return 6
	case "jul":
		return 7
	case "aug":
		return 8
	case "sep":
		return 9
	case "oct":
		return 10
	case "nov":
		return 11
	case "dec":
		return 12
	}
	return 0
}

func instant(year int, name, day, clock string) (time.Time, bool) {
	m, d := month(name), number(day)
	hour, minute, second := number(clock[:2]), number(clock[3:5]), number(clock[6:8])
	if m == 0 || d < 1 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	// Each month has 28 days, so only a later one can be missing.
	if d > 28 && time.Date(year, time.Month(m), d, 0, 0, 0, 0, time.UTC).Day() != d {
		return time.Time{}, false // a day that the month does not have
	}
	return time.Date(year, time.Month(m), d, hour, minute, second, 0, time.UTC), true // a leap second is the first second of the next minute
}
