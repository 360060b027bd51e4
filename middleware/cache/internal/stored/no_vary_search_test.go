package stored

import (
	"net/http"
	"testing"
)

// No-Vary-Search: which other queries a response answers.
func TestNoVarySearch(t *testing.T) {
	for _, test := range []struct {
		name, line, stored, asked string
		want                      bool
	}{
		{"key-order", "key-order", "a=1&b=2", "b=2&a=1", true},
		{"key-order, order of values", "key-order", "a=1&a=2", "a=2&a=1", false},
		{"params", `params=("a")`, "a=1&b=2", "b=2&a=3", true},
		{"params, one that counts", `params=("a")`, "b=2", "b=3", false},
		{"params, absent", `params=("a")`, "a=1&b=2", "b=2", true},
		{"params, order still counts", `params=("x")`, "a=1&b=2", "b=2&a=1", false},
		{"all params", "params", "a=1", "b=2", true},
		{"all but some", `params, except=("b")`, "a=1&b=2", "b=2", true},
		{"all but some, one that counts", `params, except=("b")`, "b=2", "b=3", false},
		{"encoded name", `params=("a%20b")`, "a+b=1", "a%20b=2", true},
		{"both", `key-order, params=("t")`, "a=1&t=5&b=2", "b=2&a=1&t=6", true},
		{"except without params", `except=("b")`, "a=1", "a=2", false},
		{"malformed", `params=(a)`, "a=1", "a=2", false},
		{"no dictionary", `params, &`, "a=1", "a=2", false},
		{"nothing said", `key-order=?0`, "a=1&b=2", "b=2&a=1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := NewSearchVariance(http.Header{"No-Vary-Search": {test.line}}, test.stored)
			if got := v != nil && v.Covers(test.asked); got != test.want {
				t.Errorf("covers = %v, want %v", got, test.want)
			}
		})
	}
}
