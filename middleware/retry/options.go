package retry

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/redact"
)

// Options configure a retry layer. The zero value is meant for production: three attempts, full jitter, a budget per host.
type Options struct {
	// MaxAttempts bounds how often one call is sent, the first time included.
	// The hops of a redirected call share it: each hop is sent once, and all together have MaxAttempts-1 retries.
	// Zero means 3. One means that nothing is ever sent again.
	MaxAttempts int

	// MaxElapsed bounds the time from the start of the call to the start of its last attempt.
	// Zero means that only the deadline of the request's context does.
	MaxElapsed time.Duration

	// MinAttemptTime is the time that an attempt needs.
	// A retry that would have less time than this before the deadline is not made. Zero means no minimum.
	MinAttemptTime time.Duration

	// AttemptTimeout bounds each attempt up to the header of its response, not its body.
	// An attempt that takes longer fails with [ErrAttemptTimeout]. Zero means no bound.
	AttemptTimeout time.Duration

	// BodyTimeout bounds each Read of a response body. It ends a stalled transfer, not a long one.
	// The Read fails with [ErrBodyTimeout]. Zero means no bound.
	BodyTimeout time.Duration

	// Backoff returns how long to wait before each retry.
	// Zero means [FullJitter] up to 20 s, from 100 ms, or from 1 s after a 429 or 503.
	Backoff Backoff

	// MaxRetryAfter is the longest wait that a server may ask for.
	// If it asks for more, its response is returned at once. Zero means one minute.
	MaxRetryAfter time.Duration

	// RateLimitReset reads RateLimit-Reset and X-RateLimit-Reset where Retry-After is missing:
	// as seconds, or as seconds since 1970 if large. False ignores them.
	RateLimitReset bool

	// Rules are asked before [DefaultRule], in order; the first answer other than [Undecided] counts.
	// Nil means DefaultRule alone.
	Rules []Rule

	// Budget limits the retries of all calls together. Layers with the same Budget share it.
	// Nil means a new [TokenBucket] for this layer. [Unlimited] means no limit.
	Budget Budget

	// Key returns the key of a request. Requests with one key share a budget and a cool-down. It must not block.
	// Nil means the host and port of the URL.
	Key func(*http.Request) string

	// CoolDown makes all calls of a key wait out what a 429 or 503 with Retry-After asked one of them to wait.
	// A call for which the wait does not fit its deadline fails at once with [*CoolDownError], unsent.
	// False means that each call gets its own answer.
	CoolDown bool

	// BufferBody is how many bytes of a request body without GetBody are kept, so that the body can be sent again.
	// Zero means that such a request is sent once.
	BufferBody int64

	// Resume is how many times a broken download is continued from where it broke: see the package documentation.
	// Zero means never.
	Resume int

	// IdempotencyKey gives a key to a request without an Idempotency-Key field, which makes it safe to send again
	// if the server honours the field; "" gives none. The key is the same for all attempts and hops of a call.
	// [RandomKey] is such a function. Nil adds no key.
	IdempotencyKey func(*http.Request) string

	// AttemptHeader is the name of a header field that carries the number of the attempt, from the second attempt on.
	// Empty means none.
	AttemptHeader string

	// Prepare changes each retry before it is sent, for example to sign it again. The request is private to the attempt.
	// An error ends the call. Nil means no change.
	Prepare func(*http.Request) error

	// OnRetry is called for each retry, before its wait. It must not block, and must not read or close the response's body.
	// Nil means no hook.
	OnRetry func(context.Context, Event)

	// OnGiveUp is called for each call that ends with an error, or with a response that asked for a retry.
	// It must not block, and must not read or close the response's body. Nil means no hook.
	OnGiveUp func(context.Context, Event)

	// Redactor decides what the text of an [*Error] shows of URLs.
	// Nil means that of the request's context ([redact.With]), or else the default: userinfo and query values show as REDACTED.
	Redactor *redact.Redactor

	// Nested lets this layer retry below another retry layer, where attempts multiply.
	// False means that it does nothing there.
	Nested bool
}

// OptionError reports a field of [Options] that cannot be carried out. Its Package is "retry".
// The type is that of ply.OptionError, too:
//
//	type OptionError struct {
//		Package string // "retry"
//		Option  string // the name of the field
//		Reason  string // what is wrong with it and what to give instead
//		Err     error  // the cause, or nil; Unwrap returns it
//	}
type OptionError = optionerror.Error

func optionError(option, reason string) *OptionError {
	return &OptionError{Package: "retry", Option: option, Reason: reason}
}

// Validate reports the first field that cannot be carried out, as *[OptionError].
// A layer made of such options sends nothing: each RoundTrip returns that error.
func (o Options) Validate() error {
	for _, f := range []struct {
		name  string
		value int64
		unit  string
	}{
		{"MaxAttempts", int64(o.MaxAttempts), "attempts, or zero for 3"},
		{"MaxElapsed", int64(o.MaxElapsed), "a duration, or zero for none"},
		{"MinAttemptTime", int64(o.MinAttemptTime), "a duration, or zero for none"},
		{"AttemptTimeout", int64(o.AttemptTimeout), "a duration, or zero for none"},
		{"BodyTimeout", int64(o.BodyTimeout), "a duration, or zero for none"},
		{"MaxRetryAfter", int64(o.MaxRetryAfter), "a duration, or zero for one minute"},
		{"BufferBody", o.BufferBody, "bytes, or zero for none"},
		{"Resume", int64(o.Resume), "a number of times, or zero for never"},
	} {
		if f.value < 0 {
			return optionError(f.name, fmt.Sprintf("is negative (%d): give %s", f.value, f.unit))
		}
	}
	for i, rule := range o.Rules {
		if rule == nil {
			return optionError(fmt.Sprintf("Rules[%d]", i), "is nil: leave it out")
		}
	}
	if o.AttemptHeader != "" && !token(o.AttemptHeader) {
		return optionError("AttemptHeader", "is not the name of a header field: use letters, digits and dashes")
	}
	if err := validateBudget(o.Budget); err != nil {
		return &OptionError{Package: "retry", Option: "Budget", Reason: "is not usable", Err: err}
	}
	return nil
}

// validateBudget returns the error of a budget that can check itself, as a [TokenBucket] and a type that embeds one can.
func validateBudget(b Budget) error {
	switch b := b.(type) {
	case interface{ Validate() error }:
		return b.Validate()
	case interface{ validate() error }:
		return b.validate()
	}
	return nil
}

// token reports whether s is a token (RFC 9110 §5.6.2), limited to what field names are made of in practice.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			continue
		}
		return false
	}
	return s != ""
}

// withDefaults fills in what zero means, except for Budget, which the layer owns.
func (o Options) withDefaults() Options {
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 3
	}
	if o.MaxRetryAfter == 0 {
		o.MaxRetryAfter = time.Minute
	}
	if o.Backoff == nil {
		o.Backoff = defaultBackoff
	}
	if o.Key == nil {
		o.Key = hostOf
	}
	return o
}

func hostOf(req *http.Request) string {
	if req.URL == nil {
		return ""
	}
	return req.URL.Host
}

// over returns base with the non-zero fields of o.
func (o Options) over(base Options) Options {
	set(&base.MaxAttempts, o.MaxAttempts)
	set(&base.MaxElapsed, o.MaxElapsed)
	set(&base.MinAttemptTime, o.MinAttemptTime)
	set(&base.AttemptTimeout, o.AttemptTimeout)
	set(&base.BodyTimeout, o.BodyTimeout)
	set(&base.MaxRetryAfter, o.MaxRetryAfter)
	set(&base.RateLimitReset, o.RateLimitReset)
	set(&base.CoolDown, o.CoolDown)
	set(&base.BufferBody, o.BufferBody)
	set(&base.Resume, o.Resume)
	set(&base.AttemptHeader, o.AttemptHeader)
	set(&base.Redactor, o.Redactor)
	set(&base.Nested, o.Nested)
	if o.Budget != nil {
		base.Budget = o.Budget
	}
	if o.Rules != nil {
		base.Rules = o.Rules
	}
	if o.Backoff != nil {
		base.Backoff = o.Backoff
	}
	if o.Key != nil {
		base.Key = o.Key
	}
	if o.IdempotencyKey != nil {
		base.IdempotencyKey = o.IdempotencyKey
	}
	if o.Prepare != nil {
		base.Prepare = o.Prepare
	}
	if o.OnRetry != nil {
		base.OnRetry = o.OnRetry
	}
	if o.OnGiveUp != nil {
		base.OnGiveUp = o.OnGiveUp
	}
	return base
}

func set[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

// scope is what a context sets for the requests made with it.
type scope struct {
	disabled   bool
	idempotent bool
	options    *Options // nil: the layer's own
}

type scopeKey struct{}

func scopeOf(ctx context.Context) scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return *s
	}
	return scope{}
}

func (s scope) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, scopeKey{}, &s)
}

// Disable returns a context whose requests pass every retry layer untouched: they are sent once, and have no [Info].
// [Enable] undoes it for an inner context.
func Disable(ctx context.Context) context.Context {
	s := scopeOf(ctx)
	s.disabled = true
	return s.in(ctx)
}

// Enable returns a context that undoes an outer [Disable].
func Enable(ctx context.Context) context.Context {
	s := scopeOf(ctx)
	s.disabled = false
	return s.in(ctx)
}

// WithIdempotent returns a context whose requests are safe to send twice, whatever their method.
func WithIdempotent(ctx context.Context) context.Context {
	s := scopeOf(ctx)
	s.idempotent = true
	return s.in(ctx)
}

// WithMaxAttempts returns a context whose requests are sent at most n times, the first time included.
// Zero means the layer's Options.MaxAttempts.
func WithMaxAttempts(ctx context.Context, n int) context.Context {
	return WithOptions(ctx, Options{MaxAttempts: n})
}

// WithOptions returns a context whose requests use the non-zero fields of o in place of the layer's Options.
// An inner context overrides an outer one, field by field. The budget is the layer's unless o has a Budget; the cool-downs always are.
// If o fails [Options.Validate], the request fails with that error, unsent.
func WithOptions(ctx context.Context, o Options) context.Context {
	s := scopeOf(ctx)
	if s.options != nil {
		o = o.over(*s.options)
	}
	s.options = &o
	return s.in(ctx)
}
