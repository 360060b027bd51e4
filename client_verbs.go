package ply

import (
	"context"
	"net/http"
)

// Get sends a GET request. The caller closes the body of the response. Errors are those of [Client.NewRequest] and [Client.Do].
func (c *Client) Get(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, url, opts)
}

// Head sends a HEAD request. Otherwise it is like [Client.Get].
func (c *Client) Head(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodHead, url, opts)
}

// Post sends a POST request, whose body is one of the options. Otherwise it is like [Client.Get].
func (c *Client) Post(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodPost, url, opts)
}

// Put sends a PUT request, whose body is one of the options. Otherwise it is like [Client.Get].
func (c *Client) Put(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodPut, url, opts)
}

// Patch sends a PATCH request, whose body is one of the options. Otherwise it is like [Client.Get].
func (c *Client) Patch(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodPatch, url, opts)
}

// Delete sends a DELETE request. Otherwise it is like [Client.Get].
func (c *Client) Delete(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodDelete, url, opts)
}

// Options sends an OPTIONS request. Otherwise it is like [Client.Get].
func (c *Client) Options(ctx context.Context, url string, opts ...RequestOption) (*http.Response, error) {
	return c.send(ctx, http.MethodOptions, url, opts)
}

func (c *Client) send(ctx context.Context, method, url string, opts []RequestOption) (*http.Response, error) {
	req, err := c.NewRequest(ctx, method, url, opts...)
	if err != nil {
		return nil, err
	}
	return c.Do(req)
}
