package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/plyhttp/ply/internal/timeout"
)

func TestIs(t *testing.T) {
	exceeded := errors.New("timeout exceeded")
	noTimeLeft := errors.New("rate: Wait(n=1) would exceed context deadline")
	for _, tt := range []struct {
		name             string
		err              error
		want, noTimeLeft bool
	}{
		{"nil", nil, false, false},
		{"another", errors.New("no timeout exceeded here"), false, false},
		{"a deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), true, false},
		{"says so", &net.DNSError{IsTimeout: true}, true, false},
		{"says not", &net.DNSError{}, false, false},
		{"of a policy", exceeded, true, false},
		{"of a policy, wrapped", fmt.Errorf("x: %w", exceeded), true, false},
		{"of a policy, joined", errors.Join(errors.New("x"), exceeded), true, false},
		{"of a limiter", fmt.Errorf("limit: %w", noTimeLeft), true, true},
		{"of a limiter, beyond its burst", errors.New("rate: Wait(n=5) exceeds limiter's burst 1"), false, false},
	} {
		if got := timeout.Is(tt.err); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if got := timeout.NoTimeLeft(tt.err); got != tt.noTimeLeft {
			t.Errorf("%s: no time left: %v", tt.name, got)
		}
	}
}
