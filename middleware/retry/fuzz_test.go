package retry

import "testing"

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
