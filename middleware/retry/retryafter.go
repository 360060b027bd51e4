package retry

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// maxSkew is how far a Date may be from our clock and still be that of a response made now.
// A Date further off belongs to a stored response, or to a clock that says nothing.
const maxSkew = 10 * time.Minute

// serverDelay returns how long the server asks to wait, counted from now, and whether it does.
// A date in the past asks for nothing. Of several values, the longest counts.
func serverDelay(h http.Header, now time.Time, rateLimit bool) (time.Duration, bool) {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if d, ok := longest(h[name], milliseconds); ok {
			return d, true
		}
	}
	serverNow := dateOf(h, now)
	if d, ok := longest(h["Retry-After"], func(s string) (time.Duration, bool) { return retryAfter(s, serverNow) }); ok {
		return d, true
	}
	if !rateLimit {
		return 0, false
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
func retryAfter(s string, serverNow time.Time) (time.Duration, bool) {
	if d, ok := digits(s, time.Second); ok {
		return d, true
	}
	at, err := http.ParseTime(s)
	if err != nil || !at.After(serverNow) {
		return 0, false
	}
	return at.Sub(serverNow), true
}

func milliseconds(s string) (time.Duration, bool) { return digits(s, time.Millisecond) }

// rateLimitReset parses seconds from now, or since 1970 when they cannot be meant from now.
func rateLimitReset(s string, serverNow time.Time) (time.Duration, bool) {
	const years = 100_000_000 // as a wait, three of them; as a date, one in 1973
	d, ok := digits(s, time.Second)
	if !ok || d < years*time.Second {
		return d, ok
	}
	wait := time.Unix(int64(d/time.Second), 0).Sub(serverNow)
	return wait, wait > 0
}

// digits parses a decimal number of units; what does not fit becomes the longest duration there is.
func digits(s string, unit time.Duration) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64/int64(unit)-9)/10 {
			n = math.MaxInt64 / int64(unit)
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return time.Duration(n) * unit, true
}

// dateOf returns the server's idea of now, so that a date in Retry-After is measured by the clock that wrote it.
func dateOf(h http.Header, now time.Time) time.Time {
	values := h["Date"]
	if len(values) != 1 {
		return now
	}
	date, err := http.ParseTime(values[0])
	if err != nil || date.Sub(now).Abs() > maxSkew {
		return now
	}
	return date
}
