// Package retryafter reads how long a server asks to wait before another request.
package retryafter

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// maxSkew is how far a Date may differ from the local clock and still be taken for the server's current time.
const maxSkew = 10 * time.Minute

// Delay returns how long the server that sent h asks to wait, counted from now, and whether it asks: in Retry-After (RFC 9110 §10.2.3) or one of its forms in milliseconds.
// A date in the past is a wait of zero, and a negative number is ignored. Fractions are rounded up, and a value that is too large is the longest duration. Of several values, the longest counts.
func Delay(h http.Header, now time.Time) (time.Duration, bool) {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if d, ok := longest(h[name], func(s string) (time.Duration, bool) { return digits(s, time.Millisecond) }); ok {
			return d, true
		}
	}
	return longest(h["Retry-After"], func(s string) (time.Duration, bool) { return retryAfter(s, h, now) })
}

// Reset is like Delay for RateLimit-Reset or X-RateLimit-Reset.
func Reset(h http.Header, now time.Time) (time.Duration, bool) {
	serverNow := now
	if date, ok := dateOf(h); ok && date.Sub(now).Abs() <= maxSkew {
		serverNow = date
	}
	reset := func(s string) (time.Duration, bool) { return rateLimitReset(s, serverNow) }
	if d, ok := longest(h["Ratelimit-Reset"], reset); ok {
		return d, true
	}
	return longest(h["X-Ratelimit-Reset"], reset)
}

func longest(values []string, parse func(string) (time.Duration, bool)) (d time.Duration, found bool) {
	for _, v := range values {
		if one, ok := parse(strings.Trim(v, " \t")); ok {
			d, found = max(d, one), true
		}
	}
	return d, found
}

// retryAfter parses a Retry-After value: delay-seconds or a date in any of the three forms (RFC 9110 §10.2.3, §5.6.7).
func retryAfter(s string, h http.Header, now time.Time) (time.Duration, bool) {
	if d, ok := digits(s, time.Second); ok {
		return d, true
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0, false
	}
	return max(0, until(at, h, now)), true
}

// until returns the time until a date, by the server's clock if Date shows it. A Date that is far off comes from a wrong clock or a stored response:
// then the result is the shorter time of the two clocks or, for a stored response, which has an Age, the time by the local clock.
func until(at time.Time, h http.Header, now time.Time) time.Duration {
	ours := at.Sub(now)
	date, ok := dateOf(h)
	if !ok {
		return ours
	}
	theirs := at.Sub(date)
	switch {
	case date.Sub(now).Abs() <= maxSkew:
		return theirs
	case len(h["Age"]) > 0 || theirs < 0:
		return ours
	case ours <= 0:
		return theirs
	}
	return min(ours, theirs)
}

func dateOf(h http.Header) (time.Time, bool) {
	values := h["Date"]
	if len(values) != 1 {
		return time.Time{}, false
	}
	date, err := http.ParseTime(values[0])
	return date, err == nil
}

// rateLimitReset parses seconds from now, or since 1970 if the number is too large for a wait.
func rateLimitReset(s string, serverNow time.Time) (time.Duration, bool) {
	const years = 100_000_000 // as a wait, three of them; as a date, one in 1973
	d, ok := digits(s, time.Second)
	if d < years*time.Second {
		return d, ok
	}
	wait := time.Unix(int64(d/time.Second), 0).Sub(serverNow)
	return wait, wait > 0
}

// digits parses a decimal number of units. A fraction is rounded up; a number that is too large becomes the longest duration.
func digits(s string, unit time.Duration) (time.Duration, bool) {
	whole, fraction, fractional := strings.Cut(s, ".")
	if !decimal(whole) || fractional && !decimal(fraction) {
		return 0, false
	}
	most := math.MaxInt64 / int64(unit)
	n := int64(0)
	for i := range len(whole) {
		if n > (most-9)/10 {
			return time.Duration(most) * unit, true
		}
		n = n*10 + int64(whole[i]-'0')
	}
	if strings.Trim(fraction, "0") != "" {
		n++
	}
	return time.Duration(n) * unit, true
}

func decimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
