package retry

import (
	"math/big"
	"regexp"
	"testing"
)

var contentRangeGrammar = regexp.MustCompile(`^bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)$`)

// FuzzContentRange compares contentRange with the grammar and the rules of RFC 9110 §14.4, in numbers without bounds.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/10", "bytes 4-9/*", "bytes */10", "bytes 9-4/10", "bytes 0-10/10", "bytes +1-2/3", "bytes 18446744073709551615-0/1",
		"bytes 0-9223372036854775807/*", "bytes 0-9223372036854775808/*", "bytes 00-09/010", "bytes 1_0-2_0/30", "items 0-9/10", "bytes 0-9/10 "} {
		f.Add(seed)
	}
	number := func(s string) *big.Int { n, _ := new(big.Int).SetString(s, 10); return n }
	f.Fuzz(func(t *testing.T, s string) {
		first, last, total, ok := contentRange(s)
		parts := contentRangeGrammar.FindStringSubmatch(s)
		if parts == nil {
			if ok {
				t.Fatalf("%q is no Content-Range, but read as %d-%d/%d", s, first, last, total)
			}
			return
		}
		from, to, size := number(parts[1]), number(parts[2]), big.NewInt(-1)
		valid := from.Cmp(to) <= 0 && to.IsInt64()
		if parts[3] != "*" {
			size = number(parts[3])
			valid = valid && to.Cmp(size) < 0 && size.IsInt64()
		}
		if ok != valid {
			t.Fatalf("%q is valid: %v, want %v", s, ok, valid)
		}
		if ok && (big.NewInt(first).Cmp(from) != 0 || big.NewInt(last).Cmp(to) != 0 || big.NewInt(total).Cmp(size) != 0) {
			t.Fatalf("%q is read as %d-%d/%d", s, first, last, total)
		}
	})
}
