package retryafter_test

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/retryafter"
)

func TestDelay(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	const longest = math.MaxInt64 / time.Second * time.Second
	for _, tt := range []struct {
		name   string
		header http.Header
		want   time.Duration
		ok     bool
	}{
		{"seconds", http.Header{"Retry-After": {"120"}}, 2 * time.Minute, true},
		{"half a second", http.Header{"Retry-After": {"0.5"}}, time.Second, true},
		{"a fraction", http.Header{"Retry-After": {" 1.25 "}}, 2 * time.Second, true},
		{"a fraction of nothing", http.Header{"Retry-After": {"3.000"}}, 3 * time.Second, true},
		{"a fraction of a millisecond", http.Header{"Retry-After-Ms": {"250.1"}}, 251 * time.Millisecond, true},
		{"no fraction", http.Header{"Retry-After": {"1."}}, 0, false},
		{"no whole", http.Header{"Retry-After": {".5"}}, 0, false},
		{"two points", http.Header{"Retry-After": {"1.2.3"}}, 0, false},
		{"an exponent", http.Header{"Retry-After": {"1e3"}}, 0, false},
		{"negative", http.Header{"Retry-After": {"-1.5"}}, 0, false},
		{"beyond 2^63", http.Header{"Retry-After": {"9223372036854775808"}}, longest, true},
		{"far beyond", http.Header{"Retry-After": {"99999999999999999999999.5"}}, longest, true},
		{"the longest of several", http.Header{"Retry-After": {"3", "7", "5"}}, 7 * time.Second, true},
		{"a date", http.Header{"Retry-After": {at(time.Minute)}}, time.Minute, true},
		{"a date in the past", http.Header{"Retry-After": {at(-time.Minute)}}, 0, true},
		{"a date by a clock ahead", http.Header{"Retry-After": {at(6 * time.Minute)}, "Date": {at(5 * time.Minute)}}, time.Minute, true},
		{"a Date hours behind, the rest right", http.Header{"Retry-After": {at(30 * time.Second)}, "Date": {at(-5 * time.Hour)}}, 30 * time.Second, true},
		{"a Date hours ahead, the rest right", http.Header{"Retry-After": {at(30 * time.Second)}, "Date": {at(5 * time.Hour)}}, 30 * time.Second, true},
		{"a clock hours behind", http.Header{"Retry-After": {at(30*time.Second - 5*time.Hour)}, "Date": {at(-5 * time.Hour)}}, 30 * time.Second, true},
		{"a clock hours ahead", http.Header{"Retry-After": {at(30*time.Second + 5*time.Hour)}, "Date": {at(5 * time.Hour)}}, 30 * time.Second, true},
		{"five hours, and meant", http.Header{"Retry-After": {at(5 * time.Hour)}, "Date": {at(0)}}, 5 * time.Hour, true},
		{"of a stored response", http.Header{"Retry-After": {at(-4 * time.Hour)}, "Date": {at(-5 * time.Hour)}, "Age": {"18000"}}, 0, true},
		{"a clock hours ahead, at once", http.Header{"Retry-After": {at(5 * time.Hour)}, "Date": {at(5 * time.Hour)}}, 0, true},
		{"a clock hours behind, due now by ours", http.Header{"Retry-After": {at(0)}, "Date": {at(-5 * time.Hour)}}, 5 * time.Hour, true},
		{"a Date ten minutes behind", http.Header{"Retry-After": {at(time.Minute)}, "Date": {at(-10 * time.Minute)}, "Age": {"600"}}, 11 * time.Minute, true},
		{"a Date more than ten minutes behind", http.Header{"Retry-After": {at(time.Minute)}, "Date": {at(-601 * time.Second)}, "Age": {"601"}}, time.Minute, true},
		{"the last number that is read", http.Header{"Retry-After": {"9223372029"}}, 9223372029 * time.Second, true},
		{"a large number", http.Header{"Retry-After": {"9000000000"}}, 9000000000 * time.Second, true},
		{"beyond a duration", http.Header{"Retry-After": {"9223372039"}}, longest, true},
		{"words", http.Header{"Retry-After": {"soon"}}, 0, false},
		{"none", http.Header{}, 0, false},
	} {
		if got, ok := retryafter.Delay(tt.header, now); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestReset(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	since1970 := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	const skew = 10 * time.Minute
	for _, tt := range []struct {
		name   string
		header http.Header
		want   time.Duration
		ok     bool
	}{
		{"seconds", http.Header{"Ratelimit-Reset": {"30"}}, 30 * time.Second, true},
		{"X-", http.Header{"X-Ratelimit-Reset": {"30"}}, 30 * time.Second, true},
		{"both", http.Header{"Ratelimit-Reset": {"30"}, "X-Ratelimit-Reset": {"60"}}, 30 * time.Second, true},
		{"words", http.Header{"Ratelimit-Reset": {"soon"}}, 0, false},
		{"the longest wait", http.Header{"Ratelimit-Reset": {"99999999"}}, 99999999 * time.Second, true},
		{"the first date, in 1973", http.Header{"Ratelimit-Reset": {"100000000"}}, 0, false},
		{"a date", http.Header{"Ratelimit-Reset": {since1970(time.Minute)}}, time.Minute, true},
		{"now", http.Header{"Ratelimit-Reset": {since1970(0)}}, 0, false},
		{"a date by a clock ahead", http.Header{"Ratelimit-Reset": {since1970(skew + time.Minute)}, "Date": {at(skew)}}, time.Minute, true},
		{"a date, and a Date too far ahead", http.Header{"Ratelimit-Reset": {since1970(skew + time.Minute)}, "Date": {at(skew + time.Second)}}, skew + time.Minute, true},
		{"a date by a clock behind", http.Header{"Ratelimit-Reset": {since1970(time.Minute - skew)}, "Date": {at(-skew)}}, time.Minute, true},
	} {
		if got, ok := retryafter.Reset(tt.header, now); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzDelay(f *testing.F) {
	for _, seed := range []string{"0", "120", "-1", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Sun Nov  6 08:49:37 1994", "1e9", "1.5", "0.", ".5", "99999999999999999999.9", " 5", "٣"} {
		f.Add(seed, "Sat, 01 Jan 2000 00:00:00 GMT")
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value, date string) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "Ratelimit-Reset"} {
			h := http.Header{name: {value}, "Date": {date}}
			read := retryafter.Delay
			if name == "Ratelimit-Reset" {
				read = retryafter.Reset
			}
			d, ok := read(h, now)
			if d < 0 || !ok && d != 0 {
				t.Errorf("%s: %q is %s, %v", name, value, d, ok)
			}
			h[name] = []string{value, "7"}
			if both, ok := read(h, now); !ok || both < d {
				t.Errorf("%s: %q and 7 is %s, %v", name, value, both, ok)
			}
		}
	})
}
