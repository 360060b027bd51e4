package rfc9111

import (
	"testing"
)

// RFC 9111 §4.4: what an unsafe request makes invalid.
func TestInvalidation(t *testing.T) {
	for _, test := range []struct {
		method string
		status int
		want   bool
	}{
		{"POST", 200, true}, {"PUT", 201, true}, {"DELETE", 204, true}, {"PATCH", 303, true}, {"M-SEARCH", 200, true}, {"post", 200, true},
		{"POST", 400, false}, {"POST", 500, false}, {"POST", 100, false},
		{"GET", 200, false}, {"HEAD", 200, false}, {"OPTIONS", 200, false}, {"TRACE", 200, false}, {"QUERY", 200, false}, {"", 200, false},
	} {
		if got := Invalidates(test.method, test.status, private); got != test.want {
			t.Errorf("%s %d: %v, want %v", test.method, test.status, got, test.want)
		}
	}
}
