package unavailable_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/plyhttp/ply/internal/unavailable"
)

type says bool

func (says) Error() string             { return "says" }
func (s says) OriginUnavailable() bool { return bool(s) }

func TestOrigin(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want [2]bool
	}{
		{"nil", nil, [2]bool{false, false}},
		{"silent", errors.New("x"), [2]bool{false, false}},
		{"yes", says(true), [2]bool{true, true}},
		{"no", says(false), [2]bool{false, true}},
		{"wrapped", fmt.Errorf("layer: %w", says(true)), [2]bool{true, true}},
		{"joined", errors.Join(errors.New("x"), says(true)), [2]bool{true, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			down, known := unavailable.Origin(tt.err)
			if got := [2]bool{down, known}; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
