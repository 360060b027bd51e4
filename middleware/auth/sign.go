package auth

import (
	"maps"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/internal/drain"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/redact"
)

// A Signer signs one attempt.
//
// Sign may change the header and the URL of the request, which is private to the attempt; it must not read or replace the body.
// A copy of the body comes from the request's GetBody, if it has that. An error fails the attempt, unsent. Sign runs for many requests at once.
type Signer interface {
	Sign(*http.Request) error
}

// SignerFunc makes a [Signer] of a function.
type SignerFunc func(*http.Request) error

// Sign calls f.
func (f SignerFunc) Sign(req *http.Request) error { return f(req) }

// A Challenger is a [Signer] that learns from a 401 how to sign, as Digest does (RFC 7616).
//
// Challenged sees each 401: the request as it was signed, and the header of the answer; it reads no body. It reports whether to sign again: then the request is sent
// once more, if its body can be and this was its first answer. Challenged runs for many requests at once.
type Challenger interface {
	Signer
	Challenged(sent *http.Request, resp *http.Response) (again bool, err error)
}

// SignOptions say who signs what. Signer and Origins are needed.
type SignOptions struct {
	// Signer signs each attempt.
	Signer Signer

	// Origins are those that may get the signature: see [Options.Origins].
	Origins []string

	// Principal names for whom the signer signs, if that is the same for all requests: an access key's owner, a service account. It must not be secret.
	// A cache above keeps answers under this name. Zero means that a cache stores what was signed only if the principal is named above it,
	// by [New] or cache.WithPrincipal.
	Principal string
}

// Validate reports the first field that cannot be carried out, as *[OptionError]. A Signer with a method OptionsError() error is asked for what is wrong with its own.
func (o SignOptions) Validate() error {
	if o.Signer == nil {
		return optionError("Signer", "is missing: give a Signer")
	}
	if s, ok := o.Signer.(interface{ OptionsError() error }); ok && s.OptionsError() != nil {
		return s.OptionsError()
	}
	_, err := parseOrigins(o.Origins)
	return err
}

// Sign returns a layer that signs each request for its origins. It belongs below retry, so that each attempt has a signature of its own.
//
// A signature is no identity: what a cache above stores belongs to SignOptions.Principal, which the layer says to caches that can see it in the chain below them.
// Options that fail [SignOptions.Validate] make a layer that sends nothing and returns that error from each RoundTrip; ply.New refuses it.
func Sign(o SignOptions) func(next http.RoundTripper) http.RoundTripper {
	l := &signing{opts: o, bad: o.Validate()}
	l.origins, _ = parseOrigins(o.Origins)
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &signHandler{signing: l, next: next}
	}
}

// signing is what the handlers of one Sign share.
type signing struct {
	opts    SignOptions
	origins origins
	bad     error
}

type signHandler struct {
	*signing
	next http.RoundTripper
}

func (h *signHandler) LayerName() string         { return "sign" }
func (h *signHandler) Unwrap() http.RoundTripper { return h.next }

// LayerID returns what is shared by the handlers of one [Sign], which must not stand in one chain twice.
func (h *signHandler) LayerID() any { return h.signing }

// WrappedRoundTripper returns the next handler, too, for Kubernetes.
func (h *signHandler) WrappedRoundTripper() http.RoundTripper { return h.next }

// OptionsError returns what is wrong with the options, nil if nothing is: ply.New and ply.Wrap refuse such a layer.
func (h *signHandler) OptionsError() error { return h.bad }

// SignsAs returns SignOptions.Principal, for caches above.
func (h *signHandler) SignsAs() string { return h.opts.Principal }

func (h *signHandler) CloseIdleConnections() { closeIdle(h.next) }

func (h *signHandler) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	switch {
	case h.bad != nil:
		closeBody(req)
		return nil, h.bad
	case disabled(ctx):
		return h.next.RoundTrip(req)
	case !h.origins.sentTo(req):
		report(ctx, StatusSkipped, "another origin")
		return h.next.RoundTrip(req)
	}
	signed, err := h.sign(req)
	if err != nil {
		closeBody(req)
		report(ctx, StatusFailed, "no signature")
		return nil, err
	}
	report(ctx, StatusSigned, "")
	resp, err := h.next.RoundTrip(signed)
	if err != nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	return h.challenged(req, signed, resp)
}

// sign returns a signed copy of a request, and tells a cache above of it.
func (h *signHandler) sign(req *http.Request) (*http.Request, error) {
	signed := req.Clone(req.Context())
	if signed.Header == nil {
		signed.Header = http.Header{}
	}
	if err := h.opts.Signer.Sign(signed); err != nil {
		return nil, &Error{Op: "sign", err: redact.Error(err)}
	}
	w := reqctx.From(req.Context()).Signatures
	switch {
	case w == nil, maps.EqualFunc(req.Header, signed.Header, slices.Equal) && req.URL.String() == signed.URL.String():
	case h.opts.Principal != "":
		w.Signed(h.opts.Principal, req, signed)
	default:
		w.Added("") // whatever the names, the signer may sign for whom it likes
	}
	return signed, nil
}

// challenged answers a request that met a 401: with that, or with the answer to another signature.
func (h *signHandler) challenged(req, signed *http.Request, resp *http.Response) (*http.Response, error) {
	ctx := req.Context()
	reject := func(why string) (*http.Response, error) {
		report(ctx, StatusRejected, why)
		return resp, nil
	}
	c, ok := h.opts.Signer.(Challenger)
	if !ok {
		return reject("")
	}
	switch again, err := c.Challenged(signed, resp); {
	case err != nil:
		drain.Response(resp)
		report(ctx, StatusFailed, "no signature")
		return nil, &Error{Op: "sign", err: redact.Error(err)}
	case !again:
		return reject("")
	case hasBody(req) && req.GetBody == nil:
		return reject("the body cannot be sent again")
	}
	next := req.WithContext(ctx)
	if hasBody(req) {
		content, err := req.GetBody()
		if err != nil {
			return reject("the body cannot be sent again")
		}
		next.Body = content
	}
	drain.Response(resp)
	signed, err := h.sign(next)
	if err != nil {
		closeBody(next)
		report(ctx, StatusFailed, "no signature")
		return nil, err
	}
	report(ctx, StatusReplayed, "")
	resp, err = h.next.RoundTrip(signed)
	if err == nil && resp != nil && resp.StatusCode == http.StatusUnauthorized {
		c.Challenged(signed, resp) // for the requests to come: this one has had its turn
		return reject("another signature was refused as well")
	}
	return resp, err
}
