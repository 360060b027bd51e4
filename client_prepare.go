package ply

import (
	"net/http"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/connection"
)

// Prepare returns req as the exchange layers of a call would see its first hop: with base URL, default parameters, fields and credentials,
// and the cookies that the jar has for it now. What layers add is not there.
//
// It is for what asks a layer about a request without sending it, such as Delete and Contains of a cache, whose keys are made of what is sent.
// To send the request, give req itself to [Client.Do]. req is not modified; the two share a body, which is neither read nor closed.
//
// An error is the one that Do would begin with: [ErrClientClosed] or an [*OptionError].
func (c *Client) Prepare(req *http.Request) (*http.Request, error) {
	out, s, err := c.prepare(req, false)
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	if choice := c.connection(s); choice != nil && !connection.Has(ctx, choice) {
		ctx = connection.With(ctx, choice)
	}
	header := out.Header.Clone()
	out = out.WithContext(ctx)
	if out.Header = header; out.Host == "" {
		out.Host = out.URL.Host
	}
	if c.jar != nil {
		if out, err = c.jar.complete(out); err != nil {
			return nil, err
		}
	}
	// As http.Client does with what the URL says.
	if user := out.URL.User; user != nil && out.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		out.SetBasicAuth(user.Username(), password)
	}
	return out, nil
}

func (c *Client) resolve(own settings) (*settings, error) {
	s := own.over(c.defaults.settings)
	t, err := c.transports.variant(s.variant)
	if err != nil {
		return nil, err
	}
	s.transport, s.resolved = t, true
	return &s, nil
}

// prepare completes a request with what the client adds to it, in a copy, before any layer sees it:
// a cache's key is then made of the request that is sent. s is nil where nothing was chosen.
func (c *Client) prepare(req *http.Request, single bool) (out *http.Request, s *settings, err error) {
	if c.closed.Load() {
		return nil, nil, ErrClientClosed
	}
	ctx := req.Context()
	own := settingsOf(ctx)
	switch {
	case own != nil && !own.resolved:
		s, err = c.resolve(*own)
	case single || own != nil && c.resolved == nil, c.resolved != nil && c.resolved.transport != nil:
		s, err = c.resolve(settings{}) // a variant is looked up each time, so that it isn't the one that makes room
	default:
		s = c.resolved
	}
	if err != nil {
		return nil, nil, err
	}
	if s != nil {
		if s.single != single {
			copied := *s
			copied.single = single
			s = &copied
		}
		ctx = withSettings(ctx, s)
	}
	if choice := c.connection(s); choice != nil && !connection.Has(ctx, choice) {
		ctx = connection.With(ctx, choice)
	}
	if c.retries && !single {
		ctx, _ = attempt.WithTally(ctx)
	}
	out = req
	if ctx != req.Context() {
		out = req.WithContext(ctx)
	}
	if req.URL == nil {
		return nil, nil, &OptionError{Option: "url", Reason: "is nil"}
	}
	if out, err = c.complete(out, req); err == nil && c.options.HTTPSOnly && !isHTTPS(out.URL) {
		err = newHTTPSOnlyError(out, false)
	}
	return out, s, err
}

// connection is what answers are kept apart by that come over the connections of a request with these settings, or nil if that is nothing.
func (c *Client) connection(s *settings) *connection.Choice {
	if s != nil && s.transport != nil {
		return s.transport.choice()
	}
	return c.transports.choice()
}
