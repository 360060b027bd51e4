package ply

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/redact"
)

// HTTPClient returns an *http.Client for libraries that want one. Each call returns a new client, which may be changed.
//
// The *http.Client follows redirects and keeps cookies, with the policy and the jar of c, and c performs each hop.
// A CheckRedirect, a Timeout or a Jar that is set on it, or on a copy, works as on any http.Client.
// Its Transport performs single exchanges, as libraries expect that take the Transport alone.
//
// Three things differ from [Client.Do], because an http.Client leaves no room for them: the call layers run once for each hop,
// a [CheckStatus] sees each response that is not a redirect to be followed, and the caller closes a reader given to [BodyReader].
// Options.Timeouts.Total bounds all hops together, in addition to a Timeout.
//
// Header fields that may be secret stay with their origin under any CheckRedirect: on the way to another origin, fields of the first request that
// [Client.Do] would drop (see Options.CrossOrigin) are dropped, unless CheckRedirect has set them to another value. Only the policy of c drops a Cookie
// that was set by hand; under another CheckRedirect net/http decides, and lets it pass to subdomains. Cookies of a jar go where the jar says.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{Transport: &asTransport{c}, CheckRedirect: c.checkRedirect, Jar: c.options.Jar}
}

// asTransport is a [Client] as the transport of an *http.Client.
type asTransport struct{ client *Client }

func (t *asTransport) WrappedRoundTripper() http.RoundTripper { return t.client }

func (t *asTransport) CloseIdleConnections() { t.client.CloseIdleConnections() }

// callState is what the hops of a call share. It passes from one hop to the next in the context of Response.Request.
type callState struct {
	end   time.Time // when Timeouts.Total ends; zero for none
	tally *attempt.Tally
}

type callStateKey struct{}

// callStateOf returns the state that the hop before req left; the zero callState for the first hop.
func callStateOf(req *http.Request) (h callState) {
	if req.Response != nil && req.Response.Request != nil {
		h, _ = req.Response.Request.Context().Value(callStateKey{}).(callState)
	}
	return h
}

func (t *asTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c, given := t.client, req
	call := callStateOf(req)
	if req.Response != nil {
		req = cleanRedirect(req, c.options.CrossOrigin)
	}
	if r := c.options.Redactor; r != nil && !redact.HasRedactor(req.Context()) {
		req = req.WithContext(redact.With(req.Context(), r))
	}
	if req.GetBody != nil {
		req, _ = takeBodyRelease(req) // the *http.Client, or a layer around it, may send the body again
	}
	out, s, err := c.prepare(req, nil, true)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	around := *s
	around.underHTTPClient = true
	own := withOwnSettings(out.Context(), around)
	ctx, s := context.Context(own), &own.settings
	if c.retries {
		if call.tally == nil {
			_, call.tally = attempt.WithTally(ctx)
		}
		ctx = attempt.Continue(ctx, call.tally)
	}
	if s.timeouts.Total > 0 && call.end.IsZero() {
		call.end = time.Now().Add(s.timeouts.Total)
	}
	out = own.request(context.WithValue(ctx, callStateKey{}, call), out)
	finish := checkContract
	if s.timeouts.Total > 0 {
		out, finish = withTotal(out, s.timeouts.Total, call.end)
	}
	resp, err := finish(checkContract(c.call.RoundTrip(out)))
	if err != nil {
		return nil, redact.From(out.Context()).Error(err)
	}
	if isRedirect(given, resp) {
		linkHop(given, out, resp)
		return resp, nil
	}
	s.reportProgress(resp)
	return s.checked(resp)
}

// isRedirect reports whether an *http.Client that sent req may follow resp.
func isRedirect(req *http.Request, resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if !canSendAgain(req) {
			return false
		}
	default:
		return false
	}
	return resp.Header.Get("Location") != ""
}

// linkHop sets Request of a redirect to the request that was sent, so that the next hop knows its history: rules about origins go by requests
// that were made, not by what a layer says of them. If BaseURL completed the URL, the Location becomes absolute, because given has no origin to resolve it against.
func linkHop(given, sent *http.Request, resp *http.Response) {
	ctx := sent.Context()
	if resp.Request != nil && resp.Request.Context().Value(callStateKey{}) != nil {
		ctx = resp.Request.Context() // it has the record of the call
	}
	resp.Request = sent.WithContext(ctx)
	if !given.URL.IsAbs() {
		if to, err := sent.URL.Parse(resp.Header.Get("Location")); err == nil {
			resp.Header = resp.Header.Clone()
			resp.Header.Set("Location", to.String())
		}
	}
}

// cleanRedirect returns req without what Client.checkRedirect would remove, for an *http.Client that has another policy.
func cleanRedirect(req *http.Request, crossOrigin []string) *http.Request {
	hop := withOwnHeader(req)
	copied := req.Header // what net/http may have copied from the first request: everything, if that is not known
	if previous := req.Response.Request; previous != nil {
		first := firstRequest(previous)
		cleanHop(hop, previous, first)
		copied = first.Header
	}
	if staysAtOrigin(req) {
		return hop
	}
	dropCredentials(hop, crossOrigin...)
	for name, values := range req.Header {
		if _, kept := hop.Header[name]; !kept && (name == "Cookie" || !slices.Equal(values, copied[name])) {
			hop.Header[name] = values // from a jar, or set by CheckRedirect
		}
	}
	trimReferer(hop)
	return hop
}
