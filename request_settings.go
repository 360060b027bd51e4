package ply

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/plyhttp/ply/internal/reqctx"
)

// settings are the choices of one request that are not in the request itself. They travel in its context,
// from hop to hop of a redirect, and are never sent.
type settings struct {
	timeouts        Timeouts
	maxRedirects    int   // 0: not chosen; noRedirects: none
	maxPages        int   // 0: not chosen; of Client.Pages
	bodyLimit       int64 // 0: not chosen; the request's own, which comes before that of WithBodyLimit
	bodyDefault     int64 // the client's, which comes after it
	status          func(*http.Response) error
	statusChosen    bool
	progress        func(received, total int64)
	progressFrom    *int64            // where the body of a 206 begins; of Client.Download, which knows it when the URL is known
	reconnect       *ReconnectOptions // of Client.Events; nil: not chosen
	variant         variant
	transport       *variantTransport // the transport for variant, once the client has resolved it; nil for the client's own
	single          bool              // one exchange, no redirects: see Client.RoundTrip
	underHTTPClient bool              // single, and an *http.Client follows the redirects: see Client.HTTPClient

	crossOriginPages bool
	awayFromHome     bool // a page at an origin that its link names: what may be secret does not go there

	// resolved is true once a client has completed the settings for a request. Another request with the same context,
	// which a layer may make, does not have them.
	resolved bool
}

const noRedirects = -1

type settingsKey struct{}

// settingsContext is a context that holds the settings of one request. It has room for the request, too: one allocation for all.
type settingsContext struct {
	context.Context
	settings settings
	record   reqctx.RecordContext
	room     http.Request
}

func (c *settingsContext) Value(key any) any {
	if key == (settingsKey{}) {
		return &c.settings
	}
	return c.Context.Value(key)
}

// String is what fmt prints for the context: settings may hold secrets.
func (c *settingsContext) String() string { return "ply.settingsContext" }

// Format prints no more than String does, whatever the verb.
func (c *settingsContext) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// withOwnSettings returns a context with a copy of s.
func withOwnSettings(ctx context.Context, s settings) *settingsContext {
	return &settingsContext{Context: ctx, settings: s}
}

// request returns a copy of req with the context ctx, which was made of c. It is called once; with a nil c the copy is an allocation of its own.
func (c *settingsContext) request(ctx context.Context, req *http.Request) *http.Request {
	if c == nil {
		return req.WithContext(ctx)
	}
	c.room = *req.WithContext(ctx)
	return &c.room
}

// withSettings returns a context with settings that requests share.
func withSettings(ctx context.Context, s *settings) context.Context {
	return context.WithValue(ctx, settingsKey{}, s)
}

// settingsOf returns the settings in ctx, or nil if there are none. They must not be changed.
func settingsOf(ctx context.Context) *settings {
	s, _ := ctx.Value(settingsKey{}).(*settings)
	return s
}

// over returns s, with the defaults d for what s does not choose.
func (s settings) over(d settings) settings {
	s.timeouts = s.timeouts.over(d.timeouts)
	if s.maxRedirects == 0 {
		s.maxRedirects = d.maxRedirects
	}
	if !s.statusChosen {
		s.status, s.statusChosen = d.status, d.statusChosen
	}
	if s.progress == nil {
		s.progress = d.progress
	}
	if s.reconnect == nil {
		s.reconnect = d.reconnect
	}
	if s.maxPages == 0 {
		s.maxPages = d.maxPages
	}
	s.bodyDefault = d.bodyLimit
	s.crossOriginPages = s.crossOriginPages || d.crossOriginPages
	s.variant = s.variant.over(d.variant)
	return s
}
