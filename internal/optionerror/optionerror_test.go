package optionerror_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/middleware/retry"
)

func TestTextNamesPackageOptionReasonAndCause(t *testing.T) {
	for _, tt := range []struct {
		err  *optionerror.Error
		want string
	}{
		{&optionerror.Error{Option: "BaseURL", Reason: "has a query: drop it"}, "ply: BaseURL: has a query: drop it"},
		{&optionerror.Error{Package: "retry", Option: "Resume", Reason: "is negative (-1): give zero for never"}, "retry: Resume: is negative (-1): give zero for never"},
		{&optionerror.Error{Option: "TrustEnv", Reason: "the netrc file cannot be used", Err: io.EOF}, "ply: TrustEnv: the netrc file cannot be used: EOF"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if !errors.Is(tt.err, tt.err.Err) && tt.err.Err != nil {
			t.Errorf("%s: the cause is hidden", tt.want)
		}
	}
}

func TestOneTypeServesEveryPackage(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", retry.Options{Resume: -1}.Validate())
	var bad *ply.OptionError
	if !errors.As(err, &bad) || bad.Package != "retry" || bad.Option != "Resume" {
		t.Errorf("got %#v", bad)
	}
}
