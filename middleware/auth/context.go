package auth

import (
	"context"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/reqctx"
)

type (
	disabledKey struct{}
	accountKey  struct{}
	rejectedKey struct{}
	askedKey    struct{} // the *Options of the layer that asks its source
)

// Disable returns a context whose requests pass every layer of this package untouched. [Enable] undoes it in an inner context.
// A cache keeps their answers apart from those of [SignOptions.Principal].
func Disable(ctx context.Context) context.Context { return withDisabled(ctx, true) }

// Enable returns a context that undoes an outer [Disable].
func Enable(ctx context.Context) context.Context { return withDisabled(ctx, false) }

func withDisabled(ctx context.Context, off bool) context.Context {
	if v := reqctx.From(ctx); v.Unsigned != off {
		v.Unsigned = off // for caches above a signer
		ctx = reqctx.With(ctx, v)
	}
	return context.WithValue(ctx, disabledKey{}, off)
}

func disabled(ctx context.Context) bool {
	off, _ := ctx.Value(disabledKey{}).(bool)
	return off
}

// AccountFromContext returns the account that a [Source] is asked for: what [Options.Account] returned, or "".
func AccountFromContext(ctx context.Context) string {
	account, _ := ctx.Value(accountKey{}).(string)
	return account
}

// RejectedFromContext returns the token that a server has refused, in the context of a [Source] that is asked for another one because of that.
func RejectedFromContext(ctx context.Context) (Token, bool) {
	t, ok := ctx.Value(rejectedKey{}).(*Token)
	if !ok {
		return Token{}, false
	}
	return *t, true
}

// The words of [Info.Status].
const (
	StatusAdded    = "added"    // a token that was at hand went along
	StatusRenewed  = "renewed"  // the request waited for its token
	StatusReplayed = "replayed" // after a 401 the request was sent again, with another token or signature
	StatusRejected = "rejected" // the server refused the token or the signature, and the request was not sent again
	StatusSigned   = "signed"   // a signature went along
	StatusSkipped  = "skipped"  // the request went on as it came
	StatusFailed   = "failed"   // there was no token, or no signature
)

// Info is what the layers of this package did for a request.
type Info struct {
	Status string // one of the Status constants
	Reason string // why, or ""
}

// WithInfo returns a context for one call, and a function that says what was done for the last request made with it, if a layer of this package was passed.
// The function may be called at any time and from any goroutine.
func WithInfo(ctx context.Context) (context.Context, func() (Info, bool)) {
	ctx, tally := attempt.WithTally(ctx)
	return ctx, func() (Info, bool) {
		a := tally.Auth()
		return Info{Status: a.Status, Reason: a.Reason}, a.Status != ""
	}
}

func report(ctx context.Context, status, reason string) {
	attempt.ReportAuth(ctx, attempt.Auth{Status: status, Reason: reason})
}
