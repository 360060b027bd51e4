package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/plyhttp/ply/redact"
)

// A Token proves to a server who asks. However it is printed or encoded, its Value does not show.
type Token struct {
	// Value is the token, API key or encoded credentials. It must not be empty, nor have control characters.
	Value string

	// Scheme stands before the value in the field, with a space between. Zero means Bearer in Authorization (RFC 6750 §2.1), and none in any other field.
	Scheme string

	// Expires is when the token ends. Zero means that this is not known: then a 401 alone has it renewed.
	Expires time.Time

	// Principal names for whom the token was issued, in the same way in each process that shares a store: a user, a tenant, a service account.
	// It must not be secret, and tokens with different rights need different names if answers depend on these rights.
	// Zero means the account of the request (see [Options.Account]); if that is empty, too, answers belong to the token alone, and a new one finds none of them.
	Principal string
}

// String shows everything but the value.
func (t Token) String() string {
	var b strings.Builder
	b.WriteString(redact.Placeholder)
	if t.Principal != "" {
		fmt.Fprintf(&b, " of %q", t.Principal)
	}
	if !t.Expires.IsZero() {
		b.WriteString(" until " + t.Expires.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// Format prints the token as String does, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// MarshalText encodes the token as String shows it, so that no encoder writes its value.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue has log/slog write the token as String shows it.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// A Source yields tokens. It is asked by one goroutine at a time for each account.
//
// The context belongs to no caller: it has no value of a request's context, and ends after [Options.RefreshTimeout].
// [AccountFromContext] says for whom the token is; [RejectedFromContext] says which token a server has refused, so that a source that keeps tokens yields another.
// What it sends with this context through the layer's own client goes on without a token; with any other context it would wait for itself.
// A source must return when its context is done. An error, and a panic, fail the requests that wait, unless they have an older token.
type Source interface {
	Token(ctx context.Context) (Token, error)
}

// SourceFunc makes a [Source] of a function.
type SourceFunc func(ctx context.Context) (Token, error)

// Token calls f.
func (f SourceFunc) Token(ctx context.Context) (Token, error) { return f(ctx) }

// Static returns a source that always yields t.
func Static(t Token) Source {
	return SourceFunc(func(context.Context) (Token, error) { return t, nil })
}

// APIKey returns a source that always yields the key, which the principal has. [Options.Field] or [Options.Query] says where the key stands in a request.
func APIKey(principal, key string) Source { return Static(Token{Value: key, Principal: principal}) }
