// Package bookshop is a client for the API of a bookshop, in the style of the SDKs of large services: one client for a program's lifetime,
// methods with a context and typed results, lists as iterators, errors that a program can test for, credentials, retries and a cache built in,
// and an option for what a program adds of its own.
//
// In client.go is the client, in books.go what it offers, and in errors.go its errors. The shop does not exist: copy the form.
package bookshop

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// Version is that of this package, in the field User-Agent.
const Version = "1.0.0"

// Options are what a program may choose. Only Token is needed.
type Options struct {
	// Token is the key of an account. A program whose tokens expire gives a TokenSource in its place, which is asked for a new one in time.
	Token       string
	TokenSource auth.Source

	// BaseURL is the API's. Zero means https://api.bookshop.example/v1.
	BaseURL string

	// Timeout bounds each call, its retries included. Zero means 30 seconds.
	Timeout time.Duration

	// MaxAttempts is how often a call is sent at most. Zero means 3.
	MaxAttempts int

	// Use lists layers of the program, around all layers of this package: its log, its telemetry. Zero means none.
	Use []func(http.RoundTripper) http.RoundTripper

	// Transport performs the requests: a tape or a scripted origin in tests, a transport with a proxy. Zero means one of the client's own.
	Transport http.RoundTripper
}

// Client is a client of the bookshop. It is safe for concurrent use; close it when the program needs it no more.
type Client struct {
	// Books are the books of the shop.
	Books *Books

	http  *ply.Client
	cache *cache.Cache
}

// New makes a client. It sends nothing yet.
func New(o Options) (*Client, error) {
	if o.BaseURL == "" {
		o.BaseURL = "https://api.bookshop.example/v1"
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.TokenSource == nil && o.Token == "" {
		return nil, errors.New("bookshop: give a Token or a TokenSource")
	}
	if o.TokenSource == nil {
		o.TokenSource = auth.Static(auth.Token{Value: o.Token})
	}
	base, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, errors.New("bookshop: BaseURL is no URL") // not quoted: it might have a password
	}
	c, err := cache.New(cache.Options{}) // obeys what the API says of its answers: nothing is cached that may not be
	if err != nil {
		return nil, err
	}
	hc, err := ply.New(ply.Options{
		BaseURL:   o.BaseURL,
		Header:    http.Header{"User-Agent": {"bookshop-go/" + Version}, "Accept": {"application/json"}},
		Timeouts:  ply.Timeouts{Total: o.Timeout},
		Transport: o.Transport,
		Use: append(o.Use[:len(o.Use):len(o.Use)],
			auth.New(auth.Options{Source: o.TokenSource, Origins: []string{base.Scheme + "://" + base.Host}}), // to no other origin, wherever a redirect leads
			c.Middleware,
			retry.New(retry.Options{
				MaxAttempts:    o.MaxAttempts,
				IdempotencyKey: retry.RandomKey, // so that a POST may be sent again: the API knows the key
			}),
		),
	})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	client := &Client{http: hc, cache: c}
	client.Books = &Books{client}
	return client, nil
}

// Close ends the client and its cache.
func (c *Client) Close() error { return errors.Join(c.http.Close(), c.cache.Close()) }
