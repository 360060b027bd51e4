package optionerror_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/middleware/cache"
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
	_, ofClient := ply.New(ply.Options{BaseURL: "no URL"})
	_, ofCache := cache.New(cache.Options{MaxEntryBytes: -1})
	for _, tt := range []struct {
		err  error
		want ply.OptionError
	}{
		{ofClient, ply.OptionError{Option: "BaseURL"}},
		{ofCache, ply.OptionError{Package: "cache", Option: "MaxEntryBytes"}},
		{retry.Options{Resume: -1}.Validate(), ply.OptionError{Package: "retry", Option: "Resume"}},
	} {
		var bad *ply.OptionError
		if !errors.As(fmt.Errorf("wrapped: %w", tt.err), &bad) || bad.Package != tt.want.Package || bad.Option != tt.want.Option {
			t.Errorf("got %#v, want %s %s", tt.err, tt.want.Package, tt.want.Option)
		}
	}
}
