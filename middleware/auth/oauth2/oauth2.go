// Package plyoauth2 makes sources of tokens for middleware/auth of what golang.org/x/oauth2 can do.
//
//	source, err := plyoauth2.ClientCredentials(config, plyoauth2.Options{})
//	layer := auth.New(auth.Options{Source: source, Origins: []string{"https://api.example.com"}})
//
// The layer caches tokens, renews them in time and once for all who wait, and replaces one that a server has refused; so a source asks the token server each time.
package plyoauth2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/redact"
)

// Options are what all sources of this package have in common.
type Options struct {
	// Principal names for whom a token is: see auth.Token.Principal. Zero means, with client credentials, the token server with the client's id, its scopes
	// and EndpointParams, as in "https://login.example/token client_id=billing&scope=read+write", unless one of these may be a secret. Else answers belong to the token alone.
	Principal func(*oauth2.Token) string

	// HTTPClient asks the token server. Zero means http.DefaultClient. It must not be a client whose chain has the layer that the source is for.
	HTTPClient *http.Client

	// OnRotate sees each token that [RefreshToken] has got, before it is used, so that a program can keep the new refresh token (RFC 6749 §6).
	// With an error, the token is not used by the request that waits for it; the new refresh token counts nevertheless, since the old one may be spent.
	OnRotate func(*oauth2.Token) error
}

// ClientCredentials returns a source of tokens for a client that acts for itself (RFC 6749 §4.4).
func ClientCredentials(config *clientcredentials.Config, o Options) (auth.Source, error) {
	if config == nil || config.ClientID == "" || config.TokenURL == "" {
		return nil, optionError("ClientCredentials", "needs a configuration with ClientID and TokenURL")
	}
	c := *config
	if o.Principal == nil {
		name := principalOf(&c)
		o.Principal = func(*oauth2.Token) string { return name }
	}
	return auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
		t, err := c.Token(o.within(ctx))
		if err != nil {
			return auth.Token{}, without(err, c.ClientSecret)
		}
		return o.token(t), nil
	}), nil
}

// principalOf names for whom the tokens of c are, by all that a token server may tell them apart by: one client may act for several tenants,
// each with a token server or a parameter of its own. It is empty if the name would have what may be a secret.
func principalOf(c *clientcredentials.Config) string {
	params := url.Values{"client_id": {c.ClientID}}
	if len(c.Scopes) > 0 {
		params.Set("scope", strings.Join(c.Scopes, " "))
	}
	for name, values := range c.EndpointParams {
		params[name] = append(params[name], values...)
	}
	u, err := url.Parse(c.TokenURL)
	if err != nil || u.User != nil || hasSecret(params) || hasSecret(u.Query()) {
		return ""
	}
	return c.TokenURL + " " + params.Encode()
}

func hasSecret(params url.Values) bool {
	for name := range params {
		if redact.IsSecretName(name) {
			return true
		}
	}
	return false
}

// RefreshToken returns a source that goes on from a token with a refresh token: what the authorization code flow, the device flow or a file has yielded.
// The access token of t is used as long as it is good; it may be missing.
//
// A server may spend a refresh token with its use and answer with the next one (RFC 9700 §4.14). So one token must have one source, however many layers share that;
// [Options.OnRotate] is where to keep what comes. A source makes one refresh at a time.
func RefreshToken(config *oauth2.Config, t *oauth2.Token, o Options) (auth.Source, error) {
	if config == nil || config.Endpoint.TokenURL == "" {
		return nil, optionError("RefreshToken", "needs a configuration with Endpoint.TokenURL")
	}
	if t == nil || t.RefreshToken == "" {
		return nil, optionError("RefreshToken", "needs a token with a refresh token")
	}
	s := &refreshing{opts: o, turn: make(chan struct{}, 1), refresh: t.RefreshToken}
	s.config = *config
	if t.AccessToken != "" {
		s.keep(t)
	}
	return s, nil
}

// FromTokenSource returns a source that asks any oauth2.TokenSource: of a device flow, of JWTs, of Google's libraries.
//
// Most of these keep a token until ten seconds before its end, so one that a server has refused may come again: then the request ends with its 401.
// They know no context either. A call that hangs is left behind after auth.Options.RefreshTimeout, and another is made.
func FromTokenSource(source oauth2.TokenSource, o Options) (auth.Source, error) {
	if source == nil {
		return nil, optionError("FromTokenSource", "needs a token source")
	}
	return auth.SourceFunc(func(context.Context) (auth.Token, error) {
		t, err := source.Token()
		if err != nil {
			return auth.Token{}, without(err)
		}
		if t == nil {
			return auth.Token{}, errors.New("oauth2: the token source has returned no token")
		}
		return o.token(t), nil
	}), nil
}

func optionError(option, reason string) error {
	return &auth.OptionError{Package: "plyoauth2", Option: option, Reason: reason}
}

func (o *Options) within(ctx context.Context) context.Context {
	if o.HTTPClient == nil {
		return ctx
	}
	return context.WithValue(ctx, oauth2.HTTPClient, o.HTTPClient)
}

func (o *Options) token(t *oauth2.Token) auth.Token {
	made := auth.Token{Value: t.AccessToken, Scheme: t.Type(), Expires: t.Expiry}
	if o.Principal != nil {
		made.Principal = o.Principal(t)
	}
	return made
}

// refreshing is the source of [RefreshToken].
type refreshing struct {
	opts   Options
	config oauth2.Config

	// turn is held by who asks the token server, and guards the fields below. It is a channel so that a wait for it ends with its context.
	turn    chan struct{}
	refresh string
	last    *oauth2.Token // nil before the first
	half    time.Time     // until when last is handed out again; zero if its end is not known
}

// Format shows none of the secrets, whatever the verb.
func (s *refreshing) Format(f fmt.State, _ rune) { fmt.Fprint(f, "plyoauth2.RefreshToken") }

func (s *refreshing) keep(t *oauth2.Token) {
	s.last, s.half = t, time.Time{}
	if !t.Expiry.IsZero() {
		s.half = time.Now().Add(time.Until(t.Expiry) / 2)
	}
}

// Token returns the last token if it is young and was not refused, for a second layer that asks, or else a new one.
func (s *refreshing) Token(ctx context.Context) (auth.Token, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return auth.Token{}, ctx.Err()
	}
	refused, ok := auth.RejectedFromContext(ctx)
	if last := s.last; last != nil && !(ok && refused.Value == last.AccessToken) && (s.half.IsZero() || time.Now().Before(s.half)) {
		return s.opts.token(last), nil
	}
	t, err := s.config.TokenSource(s.opts.within(ctx), &oauth2.Token{RefreshToken: s.refresh}).Token()
	if err != nil {
		return auth.Token{}, without(err, s.config.ClientSecret, s.refresh)
	}
	if t.RefreshToken != "" {
		s.refresh = t.RefreshToken
	}
	s.keep(t)
	if s.opts.OnRotate != nil {
		if err := s.opts.OnRotate(t); err != nil {
			return auth.Token{}, without(err, t.AccessToken, t.RefreshToken)
		}
	}
	return s.opts.token(t), nil
}

// without returns an error whose text has none of the secrets, and of what a token server sent no more than its error (RFC 6749 §5.2).
func without(err error, secrets ...string) error {
	text := err.Error()
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		text = "the token server has refused: " + refused.ErrorCode + " " + refused.ErrorDescription
		if refused.ErrorCode == "" && refused.Response != nil {
			text = "the token server has answered " + refused.Response.Status
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "REDACTED")
		}
	}
	return &quiet{text, err}
}

// quiet is an error with a text of its own, however it is printed. errors.Is and errors.As see through it.
type quiet struct {
	text string
	err  error
}

func (e *quiet) Error() string                 { return e.text }
func (e *quiet) Format(f fmt.State, verb rune) { fmt.Fprintf(f, fmt.FormatString(f, verb), e.text) }
func (e *quiet) Unwrap() error                 { return e.err }
