package retry

import (
	"net/http"
	"testing"
	"time"
)

func FuzzServerDelay(f *testing.F) {
	for _, seed := range []string{"0", "120", "-1", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Sun Nov  6 08:49:37 1994", "1e9", " 5", "٣"} {
		f.Add(seed, "Sat, 01 Jan 2000 00:00:00 GMT")
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value, date string) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "Ratelimit-Reset"} {
			h := http.Header{name: {value}, "Date": {date}}
			d, ok := serverDelay(h, now, true)
			if d < 0 || !ok && d != 0 {
				t.Errorf("%s: %q is %s, %v", name, value, d, ok)
			}
			h[name] = []string{value, "7"}
			if both, ok := serverDelay(h, now, true); !ok || both < d {
				t.Errorf("%s: %q and 7 is %s, %v", name, value, both, ok)
			}
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/10", "bytes 4-9/*", "bytes */10", "bytes 9-4/10", "bytes 0-10/10", "bytes +1-2/3", "bytes 18446744073709551615-0/1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, total, ok := contentRange(s)
		if ok && (first < 0 || last < first || total >= 0 && last >= total || total < -1) {
			t.Errorf("%q is %d-%d/%d", s, first, last, total)
		}
	})
}
