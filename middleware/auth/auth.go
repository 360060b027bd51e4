package auth

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/drain"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/redact"
)

// New returns a layer that adds a token to the requests for its origins.
//
// A request that brings the field or the parameter itself, even empty, goes on as it came, and so does one whose URL has userinfo if the field is Authorization.
// If there is no token, a request fails with an [*Error], unsent. Options that fail [Options.Validate] make a layer that sends nothing
// and returns that error from each RoundTrip; ply.New refuses it.
//
// The tokens are kept here: the handlers that one New makes share them, as do all goroutines that use a handler.
func New(o Options) func(next http.RoundTripper) http.RoundTripper {
	l := newLayer(o)
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &handler{layer: l, next: next}
	}
}

// layer is what the handlers of one New share.
type layer struct {
	opts    Options
	origins origins
	bad     error
	one     *slot // of all requests, if there are no accounts

	mu    sync.Mutex // guards adding to slots
	slots *lru.Cache[string, *slot]
}

func newLayer(o Options) *layer {
	l := &layer{bad: o.Validate(), opts: o.withDefaults()}
	if l.bad != nil {
		return l
	}
	l.origins, _ = parseOrigins(o.Origins)
	if o.Account == nil {
		l.one = &slot{opts: &l.opts}
		return l
	}
	l.slots, l.bad = lru.New[string, *slot](l.opts.MaxAccounts)
	return l
}

// slot returns that of the account of a request.
func (l *layer) slot(req *http.Request) (*slot, error) {
	if l.one != nil {
		return l.one, nil
	}
	account, err := l.opts.Account(req)
	if err != nil {
		return nil, &Error{Op: "account", err: redact.Error(err)}
	}
	if s, ok := l.slots.Get(account); ok {
		return s, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.slots.Get(account)
	if !ok {
		s = &slot{account: account, opts: &l.opts}
		l.slots.Add(account, s)
	}
	return s, nil
}

// skips says why a request goes on as it came, or is empty.
func (l *layer) skips(req *http.Request) string {
	switch {
	case disabled(req.Context()):
		return "disabled"
	case req.Context().Value(askedKey{}) == &l.opts:
		return "it fetches the token"
	case !l.origins.sentTo(req):
		return "another origin"
	case l.brings(req):
		return "the request has credentials of its own"
	}
	return ""
}

// brings reports whether a request has the field or the parameter already.
func (l *layer) brings(req *http.Request) bool {
	if l.opts.Query != "" {
		for param := range strings.SplitSeq(req.URL.RawQuery, "&") {
			name, _, _ := strings.Cut(param, "=")
			if name == l.opts.Query {
				return true
			}
		}
		return false
	}
	if req.URL.User != nil && l.opts.Field == "Authorization" {
		return true
	}
	for name := range req.Header {
		if len(name) == len(l.opts.Field) && field.EqualFold(name, l.opts.Field) {
			return true
		}
	}
	return false
}

// with returns a copy of a request with a token.
func (l *layer) with(req *http.Request, s *slot, t *heldToken) *http.Request {
	ctx := req.Context()
	name := cmp.Or(t.Principal, s.account)
	if name != "" || !credential.Named(l.opts.Field) { // else the key of a cache has the field by itself
		ctx = reqctx.WithCredential(ctx, l.opts.Field, t.line, name)
	}
	if w := reqctx.From(ctx).Signatures; w != nil {
		w.Added(l.opts.Field)
	}
	if hidden := l.redactor(redact.From(ctx)); hidden != nil {
		ctx = redact.With(ctx, hidden)
	}
	out := req.WithContext(ctx)
	out.Header = req.Header.Clone()
	if l.opts.Query == "" {
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header[l.opts.Field] = []string{t.line}
		return out
	}
	u := *req.URL
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += l.opts.Query + "=" + url.QueryEscape(t.line)
	out.URL = &u
	return out
}

// redactor returns one that shows what r does, but not the token, whatever its name. It is nil if r does that.
func (l *layer) redactor(r *redact.Redactor) *redact.Redactor {
	if r == nil || l.opts.Query == "" && !slices.ContainsFunc(r.ShowHeaders, func(name string) bool { return strings.EqualFold(name, l.opts.Field) }) {
		return nil // what is not known to be harmless is hidden
	}
	hidden := *r
	if l.opts.Query == "" {
		hidden.HideHeaders = append(slices.Clone(r.HideHeaders), l.opts.Field)
		return &hidden
	}
	hidden.ShowParams = slices.DeleteFunc(slices.Clone(r.ShowParams), func(name string) bool { return name == l.opts.Query })
	if r.HideParams != nil {
		hidden.HideParams = append(slices.Clone(r.HideParams), l.opts.Query)
	}
	return &hidden
}

type handler struct {
	*layer
	next http.RoundTripper
}

func (h *handler) LayerName() string         { return "auth" }
func (h *handler) Unwrap() http.RoundTripper { return h.next }

// LayerID returns the tokens, which must not stand in one chain twice.
func (h *handler) LayerID() any { return h.layer }

// SignsAs returns no principal: a cache that stands above, where none should, cannot know whose the answers are.
func (h *handler) SignsAs() string { return "" }

// WrappedRoundTripper returns the next handler, too, for Kubernetes.
func (h *handler) WrappedRoundTripper() http.RoundTripper { return h.next }

// OptionsError returns what is wrong with the options, nil if nothing is: ply.New and ply.Wrap refuse such a layer.
func (h *handler) OptionsError() error { return h.bad }

func (h *handler) CloseIdleConnections() { closeIdle(h.next) }

func closeIdle(next http.RoundTripper) {
	if c, ok := next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (h *handler) RoundTrip(req *http.Request) (*http.Response, error) {
	if h.bad != nil {
		closeBody(req)
		return nil, h.bad
	}
	if why := h.skips(req); why != "" {
		report(req.Context(), StatusSkipped, why)
		return h.next.RoundTrip(req)
	}
	began := time.Now()
	s, err := h.slot(req)
	var l lease
	if err == nil {
		l, err = s.acquire(req.Context())
	}
	if err != nil {
		closeBody(req)
		report(req.Context(), StatusFailed, failedBecause(req.Context()))
		return nil, err
	}
	status := StatusAdded
	if l.waited {
		status = StatusRenewed
		waited(req.Context(), began)
	}
	report(req.Context(), status, "")
	resp, err := h.next.RoundTrip(h.with(req, s, l.heldToken))
	if err != nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		report(req.Context(), status, "")
		return resp, err
	}
	return h.refused(req, resp, s, l)
}

func failedBecause(ctx context.Context) string {
	if ctx.Err() != nil {
		return "the caller has gone"
	}
	return "no token"
}

// refused answers a request whose token met a 401: with that, or with the answer to another token.
// The first response stays intact until it is certain that there is one.
func (h *handler) refused(req *http.Request, resp *http.Response, s *slot, l lease) (*http.Response, error) {
	ctx := req.Context()
	reject := func(why string) (*http.Response, error) {
		report(ctx, StatusRejected, why)
		return resp, nil
	}
	if why := hopeless(resp, l.scheme(&h.opts)); why != "" {
		return reject(why)
	}
	if l.stale != nil {
		drain.Response(resp)
		report(ctx, StatusFailed, "the token has expired, and there is no newer one")
		return nil, l.stale
	}
	r := s.renew(l.heldToken) // for those who come later, also if this request cannot be sent again
	if hasBody(req) && req.GetBody == nil {
		return reject("the body cannot be sent again")
	}
	began := time.Now()
	newer, why, err := s.waitForNewer(ctx, r, l.heldToken)
	if r.wait != nil {
		waited(ctx, began)
	}
	switch {
	case err != nil:
		drain.Response(resp)
		report(ctx, StatusFailed, failedBecause(ctx))
		return nil, err
	case newer == nil:
		return reject(why)
	}
	again := h.with(req, s, newer)
	if hasBody(req) {
		if again.Body, err = req.GetBody(); err != nil {
			return reject("the body cannot be sent again")
		}
	}
	drain.Response(resp)
	resp, err = h.next.RoundTrip(again)
	if err != nil || resp == nil {
		report(ctx, StatusReplayed, "")
		return resp, err
	}
	vain := resp.StatusCode == http.StatusUnauthorized
	s.recordOutcome(newer, vain)
	if vain {
		return reject("another token was refused as well")
	}
	report(ctx, StatusReplayed, "")
	return resp, nil
}

// waited notes in the record of the call for how long it waited for a token, if that is worth a word.
func waited(ctx context.Context, since time.Time) {
	if time.Since(since) < time.Millisecond {
		return
	}
	attempt.Tell(ctx, attempt.Note{Layer: "auth", Event: "waited", Detail: "for a token", Start: since, Duration: time.Since(since)})
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
