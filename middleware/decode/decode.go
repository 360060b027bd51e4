package decode

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/optionerror"
)

// The content codings that the layer knows, as they are registered (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
const (
	Brotli  = "br"
	Zstd    = "zstd"
	Gzip    = "gzip"    // "x-gzip" in a response is the same
	Deflate = "deflate" // in the zlib format, or without it, as some servers send it
)

// DefaultMaxRatio is how many bytes one byte of encoded content may become unless Options.MaxRatio says otherwise.
const DefaultMaxRatio = 200

// Options make a layer. The zero value asks for all codings and bounds their ratio.
type Options struct {
	// Codings are the codings that requests ask for and that are decoded, the preferred one first.
	// Zero means Brotli, Zstd, Gzip, Deflate.
	Codings []string

	// MaxBytes is how many bytes a decoded body may have; one more is a [*LimitError]. Zero means no limit, as for any body:
	// it is streamed, and what reads it whole, such as ply.JSON, has a limit of its own. [WithMaxBytes] chooses for one request.
	MaxBytes int64

	// MaxRatio is how many bytes one byte of encoded content may become, once a body has 16 MiB; above it is a [*LimitError].
	// Zero means [DefaultMaxRatio]; a negative value means no limit. [WithMaxRatio] chooses for one request.
	MaxRatio int
}

// OptionError reports a field of [Options] that cannot be carried out. Its Package is "decode".
// The type is that of ply.OptionError, too:
//
//	type OptionError struct {
//		Package string // "decode"
//		Option  string // the name of the field
//		Reason  string // what is wrong with it and what to give instead
//		Err     error  // the cause, or nil; Unwrap returns it
//	}
type OptionError = optionerror.Error

func optionError(option, reason string) *OptionError {
	return &OptionError{Package: "decode", Option: option, Reason: reason}
}

// Validate reports the first field that cannot be carried out, as *[OptionError].
func (o Options) Validate() error {
	for i, coding := range o.Codings {
		switch {
		case !slices.Contains(allCodings, coding):
			return optionError(fmt.Sprintf("Codings[%d]", i), fmt.Sprintf("is %q: give one of %s", coding, strings.Join(allCodings, ", ")))
		case slices.Contains(o.Codings[:i], coding):
			return optionError(fmt.Sprintf("Codings[%d]", i), fmt.Sprintf("repeats %q: give it once", coding))
		}
	}
	if o.MaxBytes < 0 {
		return optionError("MaxBytes", fmt.Sprintf("is negative (%d): give a number of bytes, or zero for no limit", o.MaxBytes))
	}
	return nil
}

var allCodings = []string{Brotli, Zstd, Gzip, Deflate}

// New returns a layer that asks for content codings and removes them from responses.
//
// Options that fail [Options.Validate] make a layer that sends nothing and returns that error from each RoundTrip; ply.New refuses it.
// The handlers that it makes are safe for concurrent use.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	bad := o.Validate()
	codings := slices.Clone(o.Codings)
	if len(codings) == 0 {
		codings = allCodings
	}
	limits := limits{o.MaxBytes, o.MaxRatio}.over(limits{maxRatio: DefaultMaxRatio})
	accept := []string{acceptEncoding(codings)}
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &handler{next: next, codings: codings, accept: accept, limits: limits, pools: newPools(), bad: bad}
	}
}

type handler struct {
	next    http.RoundTripper
	codings []string
	accept  []string // the values of Accept-Encoding; cloned for each request
	limits  limits
	pools   pools
	bad     error
}

func (h *handler) LayerName() string         { return "decode" }
func (h *handler) Unwrap() http.RoundTripper { return h.next }

// WrappedRoundTripper returns it, too, for Kubernetes.
func (h *handler) WrappedRoundTripper() http.RoundTripper { return h.next }

// OptionsError returns what is wrong with the options, nil if nothing is: ply.New and ply.Wrap refuse such a layer.
func (h *handler) OptionsError() error { return h.bad }

func (h *handler) CloseIdleConnections() {
	if c, ok := h.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	if h.bad != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, h.bad
	}
	if req.Method == http.MethodConnect || hasAcceptEncoding(req.Header) {
		return h.next.RoundTrip(req)
	}
	out := req
	if mayNegotiate(req) {
		asking := *req
		if asking.Header = req.Header.Clone(); asking.Header == nil {
			asking.Header = make(http.Header)
		}
		asking.Header["Accept-Encoding"] = slices.Clone(h.accept)
		out = &asking
	}
	resp, err := h.next.RoundTrip(out)
	if err != nil || resp == nil {
		return resp, err
	}
	if resp.Request == out {
		resp.Request = req
	}
	if codings := h.toDecode(req, resp); len(codings) > 0 {
		decodeResponse(resp, codings, limitsOf(req.Context()).over(h.limits), h.pools)
	}
	return resp, nil
}

// limits bound what content may become. Zero fields are not chosen; negative ones are no limit.
type limits struct {
	maxBytes int64
	maxRatio int
}

func (l limits) over(d limits) limits {
	if l.maxBytes == 0 {
		l.maxBytes = d.maxBytes
	}
	if l.maxRatio == 0 {
		l.maxRatio = d.maxRatio
	}
	return l
}

type limitsKey struct{}

func limitsOf(ctx context.Context) limits {
	l, _ := ctx.Value(limitsKey{}).(limits)
	return l
}

// WithMaxBytes chooses Options.MaxBytes for the requests made with the context: n bytes, no limit if n is negative, and with 0 the layer's own.
func WithMaxBytes(ctx context.Context, n int64) context.Context {
	l := limitsOf(ctx)
	l.maxBytes = n
	return context.WithValue(ctx, limitsKey{}, l)
}

// WithMaxRatio chooses Options.MaxRatio for the requests made with the context: n, no limit if n is negative, and with 0 the layer's own.
func WithMaxRatio(ctx context.Context, n int) context.Context {
	l := limitsOf(ctx)
	l.maxRatio = n
	return context.WithValue(ctx, limitsKey{}, l)
}
