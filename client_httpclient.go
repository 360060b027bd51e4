package ply

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/redact"
)

// HTTPClient returns an *http.Client for libraries that want one. Each call returns another one, which may be changed.
//
// It follows redirects itself and keeps cookies itself, with the policy and the jar of c, and has each hop done by c.
// So a CheckRedirect, a Timeout or a Jar that is set on it, or on a copy, works as on any http.Client,
// and its Transport does a single exchange, as libraries expect that take the Transport alone.
//
// The rest is as with [Client.Do], but for three things that an http.Client leaves no room for. The call layers run once for each hop.
// A [CheckStatus] sees each response that is no redirect to be followed. And a reader given to [BodyReader] stays the caller's to close.
// Options.Timeouts.Total bounds all hops together, beside a Timeout.
//
// What may hold a secret stays with its origin, whatever CheckRedirect says: fields of the first request that [Client.Do] would drop on the way to
// another origin (see Options.CrossOrigin) are dropped, unless CheckRedirect has set them to another value. A Cookie given by hand is dropped by the policy of c alone;
// under another CheckRedirect it goes where net/http lets it go, to subdomains for instance. That of a jar is the jar's business.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{Transport: &asTransport{c}, CheckRedirect: c.checkRedirect, Jar: c.options.Jar}
}

// asTransport has the exchanges of an *http.Client done by a [Client].
type asTransport struct{ client *Client }

func (t *asTransport) WrappedRoundTripper() http.RoundTripper { return t.client }

func (t *asTransport) CloseIdleConnections() { t.client.CloseIdleConnections() }

// hops is what the hops of a call have in common. It travels from one to the next in the context of the redirect's request.
type callState struct {
	end   time.Time // of Timeouts.Total; zero for none
	tally *attempt.Tally
}

type callStateKey struct{}

// hopsOf returns what the hop before req left, and nothing for the first.
func callStateOf(req *http.Request) (h callState) {
	if req.Response != nil && req.Response.Request != nil {
		h, _ = req.Response.Request.Context().Value(callStateKey{}).(callState)
	}
	return h
}

func (t *asTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c, asked := t.client, req
	call := callStateOf(req)
	if req.Response != nil {
		req = cleanRedirect(req, c.options.CrossOrigin)
	}
	if r := c.options.Redactor; r != nil && !redact.HasRedactor(req.Context()) {
		req = req.WithContext(redact.With(req.Context(), r))
	}
	if req.GetBody != nil {
		req, _ = takeBodyRelease(req) // whoever is around may send it again
	}
	out, s, err := c.prepare(req, true)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	around := *s
	around.underHTTPClient = true
	s = &around
	ctx := withSettings(out.Context(), s)
	if c.retries {
		if call.tally == nil {
			_, call.tally = attempt.WithTally(ctx)
		}
		ctx = attempt.Continue(ctx, call.tally)
	}
	if s.timeouts.Total > 0 && call.end.IsZero() {
		call.end = time.Now().Add(s.timeouts.Total)
	}
	out = out.WithContext(context.WithValue(ctx, callStateKey{}, call))
	finish := checkContract
	if s.timeouts.Total > 0 {
		out, finish = withTotal(out, s.timeouts.Total, call.end)
	}
	resp, err := finish(checkContract(c.call.RoundTrip(out)))
	if err != nil {
		return nil, redact.From(out.Context()).Error(err)
	}
	if isRedirect(asked, resp) {
		linkHop(asked, out, resp)
		return resp, nil
	}
	s.reportProgress(resp)
	return s.checked(resp)
}

// leadsOn reports whether an *http.Client that sent req may follow resp.
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

// keepTrack makes a redirect tell the next hop which request it answered: what has been asked of which origin is judged by the requests
// that were made, not by what a layer says of them. The Location of a URL that BaseURL completed becomes absolute, since asked does not say where from.
func linkHop(asked, sent *http.Request, resp *http.Response) {
	ctx := sent.Context()
	if resp.Request != nil && resp.Request.Context().Value(callStateKey{}) != nil {
		ctx = resp.Request.Context() // of the layers, the record of the call in it
	}
	resp.Request = sent.WithContext(ctx)
	if !asked.URL.IsAbs() {
		if to, err := sent.URL.Parse(resp.Header.Get("Location")); err == nil {
			resp.Header = resp.Header.Clone()
			resp.Header.Set("Location", to.String())
		}
	}
}

// redirectedHop is req without what Client.checkRedirect would take from it, for an *http.Client that has another policy.
func cleanRedirect(req *http.Request, crossOrigin []string) *http.Request {
	hop := withOwnHeader(req)
	copied := req.Header // fields that net/http may have taken from the first request: all, if that is not known
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
