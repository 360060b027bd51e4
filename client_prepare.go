package ply

import (
	"context"
	"net/http"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/reqctx"
)

// Prepare returns req as the exchange layers of a call would see its first hop: with base URL, default parameters, fields and credentials,
// and the cookies that the jar has for it now, but without what layers add.
//
// Use it to ask a layer about a request without sending it: Delete and Contains of a cache, for instance, need the request that would be sent.
// To send the request, pass req itself to [Client.Do]. req is not modified; the two share a body, which is neither read nor closed.
//
// The error is [ErrClientClosed] or an [*OptionError], as from Do.
func (c *Client) Prepare(req *http.Request) (*http.Request, error) {
	out, s, err := c.prepare(req, nil, false)
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
	// http.Client does the same with credentials in a URL.
	if user := out.URL.User; user != nil && out.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		out.SetBasicAuth(user.Username(), password)
	}
	return out, nil
}

// resolve returns own completed with the defaults of the client.
func (c *Client) resolve(own settings) (settings, error) {
	s := own.over(c.defaults.settings)
	t, err := c.transports.variant(s.variant)
	s.transport, s.resolved = t, true
	return s, err
}

// prepare returns a copy of a request with what the client adds to it. It runs before any layer, so that a cache's key is made of the request
// that is sent. s is nil if neither the request nor the client has settings.
// The copy is noted in record, unless that is nil.
func (c *Client) prepare(req *http.Request, record *callRecord, single bool) (out *http.Request, s *settings, err error) {
	if c.closed.Load() {
		return nil, nil, ErrClientClosed
	}
	ctx := req.Context()
	own, shared, err := c.settingsFor(ctx, single)
	switch {
	case err != nil:
		return nil, nil, err
	case own != nil:
		ctx, s = own, &own.settings
	case shared != nil:
		ctx, s = withSettings(ctx, shared), shared
	}
	switch {
	case record == nil:
	case own != nil:
		own.record.Fill(ctx, record)
		ctx = &own.record
	default:
		ctx = reqctx.WithRecord(ctx, record)
	}
	if req.URL == nil {
		return nil, nil, &OptionError{Option: "url", Reason: "is nil"}
	}
	if choice := c.connection(s); choice != nil && !connection.Has(ctx, choice) {
		ctx = connection.With(ctx, choice)
	}
	if c.retries && !single {
		ctx, _ = attempt.WithTally(ctx)
	}
	out = req
	if ctx != req.Context() {
		out = own.request(ctx, req)
	}
	if out, err = c.complete(out, req); err == nil && c.options.HTTPSOnly && !isHTTPS(out.URL) {
		err = newHTTPSOnlyError(out, false)
	}
	return out, s, err
}

// settingsFor returns the settings for a request with the context ctx: those that are its own in a context made of ctx, or those that requests share.
// Without settings of the request or the client it returns neither.
func (c *Client) settingsFor(ctx context.Context, single bool) (own *settingsContext, shared *settings, err error) {
	given := settingsOf(ctx)
	var s settings
	switch {
	case given != nil && !given.resolved:
		s, err = c.resolve(*given)
	case single || given != nil && c.resolved == nil, c.resolved != nil && c.resolved.transport != nil:
		s, err = c.resolve(settings{}) // look the variant up each time, so that it stays the most recently used
	case c.resolved == nil:
		return nil, nil, nil
	default: // its single is false, as the request's
		return nil, c.resolved, nil
	}
	if err != nil {
		return nil, nil, err
	}
	s.single = single
	return withOwnSettings(ctx, s), nil, nil
}

// connection returns the identity of the connections that a request with these settings takes, by which caches keep responses apart, or nil for the common one.
func (c *Client) connection(s *settings) *connection.Choice {
	if s != nil && s.transport != nil {
		return s.transport.choice()
	}
	return c.transports.choice()
}
