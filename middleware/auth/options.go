package auth

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// Options say which token goes where. Source and Origins are needed; all else has defaults that are meant for production.
type Options struct {
	// Source yields the tokens.
	Source Source

	// Origins are those that may get the token, such as "https://api.example.com" or "http://localhost:8080".
	// "https://*.example.com" stands for all hosts below example.com, and not for that itself. Requests to any other origin,
	// those that follow a redirect too, go on without a token. A request over http whose Host is set is also one to the origin that Host names,
	// for that is where a proxy would forward it. There is no default.
	Origins []string

	// Field is the header field of the token. Zero means Authorization, unless Query is set.
	Field string

	// Query is the parameter of the query that holds the token, in place of a field. Servers write queries into logs, so a field is better where there is a choice.
	// The parameter is part of the URL that a cache stores an answer under: a new key starts anew.
	Query string

	// Account names for whom a request is made, for a program that acts for several: each account has a token of its own.
	// The source finds it with [AccountFromContext]. An error fails the request. It must not block. Zero means one account for all, with the name "".
	Account func(*http.Request) (string, error)

	// MaxAccounts is how many accounts keep their tokens; the one that was unused for longest loses its token. Zero means 4096.
	MaxAccounts int

	// RefreshBefore is how long before a token expires it is renewed, in the background while requests use the old one.
	// Zero means a fifth of the token's lifetime, at most five minutes. It is never more than half of the lifetime.
	RefreshBefore time.Duration

	// ClockSkew is how far the clock of a server may be ahead of ours: a token counts as expired so long before it is, and requests wait for a new one.
	// Zero means ten seconds. It is never more than a tenth of the lifetime.
	ClockSkew time.Duration

	// RefreshTimeout bounds each call of the source. Zero means 30 seconds.
	RefreshTimeout time.Duration

	// FailureHold is how long the source is left alone after it failed. It doubles with each failure that follows, up to a minute; so does the time before a token
	// is renewed on the word of a 401, after a new token met a 401 as well. Zero means one second.
	FailureHold time.Duration

	// OnRefresh sees each call of the source that has ended. It runs on a goroutine of the layer's, several at once perhaps, and must not block or panic. Zero means no hook.
	OnRefresh func(Refresh)
}

// Refresh is what became of a call of the source.
type Refresh struct {
	Account   string
	Principal string        // of the new token, or the account
	Expires   time.Time     // of the new token; zero if that is not known
	Rejected  bool          // a server had refused the token before
	Duration  time.Duration // of the call
	Err       error         // nil if there is a new token; its text has no secret
}

// The defaults.
const (
	defaultMaxAccounts    = 4096
	defaultClockSkew      = 10 * time.Second
	defaultRefreshTimeout = 30 * time.Second
	defaultFailureHold    = time.Second
	maxRefreshBefore      = 5 * time.Minute
	maxHold               = time.Minute
)

// unfit are fields that no token belongs in.
var unfit = []string{"Connection", "Content-Length", "Host", "Trailer", "Transfer-Encoding", "Upgrade"}

// Validate reports the first field that cannot be carried out, as *[OptionError].
// A layer made of such options sends nothing: each RoundTrip returns that error.
func (o Options) Validate() error {
	if o.Source == nil {
		return optionError("Source", "is missing: give a Source that yields tokens")
	}
	if _, err := parseOrigins(o.Origins); err != nil {
		return err
	}
	switch {
	case o.Field != "" && o.Query != "":
		return optionError("Query", "is set beside Field: a token stands in one place")
	case o.Field != "" && (!field.IsToken(o.Field) || slices.Contains(unfit, textproto.CanonicalMIMEHeaderKey(o.Field))):
		return optionError("Field", "is no header field that can hold a token: give a name such as X-Api-Key")
	case strings.ContainsAny(o.Query, "&=#? \t\r\n%+"):
		return optionError("Query", "has characters that would have to be escaped: give a name such as api_key")
	case o.MaxAccounts < 0:
		return optionError("MaxAccounts", "is negative: give a number, or zero for 4096")
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"RefreshBefore", o.RefreshBefore}, {"ClockSkew", o.ClockSkew}, {"RefreshTimeout", o.RefreshTimeout}, {"FailureHold", o.FailureHold},
	} {
		if f.value < 0 {
			return optionError(f.name, "is negative: give a duration, or zero for the default")
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Field == "" && o.Query == "" {
		o.Field = "Authorization"
	}
	o.Field = textproto.CanonicalMIMEHeaderKey(o.Field)
	if o.MaxAccounts == 0 {
		o.MaxAccounts = defaultMaxAccounts
	}
	if o.ClockSkew == 0 {
		o.ClockSkew = defaultClockSkew
	}
	if o.RefreshTimeout == 0 {
		o.RefreshTimeout = defaultRefreshTimeout
	}
	if o.FailureHold == 0 {
		o.FailureHold = defaultFailureHold
	}
	return o
}

// asked returns the context in which the source is asked. It is no caller's.
func (o *Options) asked(account string, rejected *Token) (context.Context, context.CancelFunc) {
	ctx := context.WithValue(context.WithValue(context.Background(), askedKey{}, o), accountKey{}, account)
	if rejected != nil {
		ctx = context.WithValue(ctx, rejectedKey{}, rejected)
	}
	return context.WithTimeout(ctx, o.RefreshTimeout)
}
