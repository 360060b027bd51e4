package ply

import (
	"net/http"

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
