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
		want bool
	}{
		{"nil", nil, false},
		{"silent", errors.New("x"), false},
		{"yes", says(true), true},
		{"no", says(false), false},
		{"wrapped", fmt.Errorf("layer: %w", says(true)), true},
		{"joined", errors.Join(errors.New("x"), says(true)), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := unavailable.Origin(tt.err); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
