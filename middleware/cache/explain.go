package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// An Explanation says what a cache would do with a request at a moment, and why. Its text, by String, is for people; its fields, which marshal as JSON, for programs.
// It holds no secret: values of credentials are hashes, and URLs and texts are redacted.
type Explanation struct {
	Method string
	URL    string

	Action  Action   // what would be done
	Forward Forward  // why the origin would be asked, if it would
	Detail  string   // more about why, in the words of Cache-Status
	Reasons []Reason // the same in sentences, each with its section

	RefreshAhead float64 // the probability that a hit would have the response refreshed in the background; see expiry.Ahead

	Key     []KeyPart         // what the key is made of; empty for a request that bypasses the store
	Stored  []ExplainedStored // what is stored under the key, the selected one first
	Changes []string          // what would change it
	Fault   string            // why the store could not be read, or empty
}

// An Action is what a cache does with a request.
type Action string

// The actions.
const (
	ActionServe      Action = "serve"       // answer from the store
	ActionServeStale Action = "serve-stale" // answer from the store, and refresh in the background
	ActionFetch      Action = "fetch"       // ask the origin
	ActionValidate   Action = "validate"    // ask the origin whether what is stored still holds
	ActionComplete   Action = "complete"    // ask the origin for the bytes that a stored part lacks
	ActionRefuse     Action = "refuse"      // answer 504, for only the store may be asked
)

// A KeyPart is one component of a cache key.
type KeyPart struct {
	Name  string // "connection", "principal", "method", "URI", "credentials", "strategy"; "key" for all together, as Entry.Key has it
	Value string // redacted; a hash where it is secret or long, which begins with "#" in all parts but the key
}

// An ExplainedStored is a stored response as a request sees it.
type ExplainedStored struct {
	URL        string
	StatusCode int
	Size       int64
	Selected   bool
	Why        string // why it is not selected, or empty

	Received          time.Time
	Age               time.Duration // current_age (RFC 9111 §4.2.3)
	FreshnessLifetime time.Duration // RFC 9111 §4.2.1
	FreshFor          time.Duration // negative by as much as it is stale
	Sliding           bool          // each use restarts the lifetime

	StaleWhileRevalidate, StaleIfError time.Duration // RFC 5861
	NoCache, MustRevalidate, Immutable bool
	ETag, LastModified                 string
	EventStream                        string // how a replay of it goes, such as "paced, 2.4s"; empty for any other response
	Varies                             []ExplainedField
}

// An ExplainedField is a selecting header field of a stored response (RFC 9111 §4.1). Values are normalised, and hashes where they may be credentials;
// an absent field has the value "(absent)".
type ExplainedField struct {
	Name            string
	Stored, Request string
	Matches         bool
}

// Explain says what the cache would do with a request at this moment, and why: a dry run that asks no origin, and changes neither the store nor the statistics.
// It wants r as the cache sees it, with everything that a client adds, as [Cache.Delete] does; see ply.Client.Prepare. What the context of r has chosen counts,
// such as [WithMode]; ctx bounds the calls of the store. The functions in [Options] and the key strategy are called as for a request.
//
// The cache may do otherwise where something happens in between, or where another request has the answer on its way; what an origin would answer is not known.
// Of several chains that the cache stands in, the one counts by whose connection something is stored. An error says that r has no URL with a scheme and a host.
func (c *Cache) Explain(ctx context.Context, r *http.Request) (*Explanation, error) {
	if r == nil || !located(r) {
		return nil, errNoHost
	}
	return c.explain(c.foresee(ctx, r, time.Now())), nil
}

// foreseen is what a request would come to.
type foreseen struct {
	request *http.Request
	parsed  rfc9111.Request
	key     []byte
	lookup  lookup
	d       rfc9111.Decision
	hashes  *stored.HashKey // of the credentials that a response varies on; nil if the store does not return its own
	fault   error
	now     time.Time
}

// foresee does what RoundTrip does before it acts.
func (c *Cache) foresee(ctx context.Context, r *http.Request, now time.Time) (first *foreseen) {
	for _, chain := range c.chains(r) {
		s := &foreseen{request: r, now: now}
		c.read(&s.parsed, r, chain)
		var buffer []byte
		s.key = c.keyIn(&buffer, &s.parsed, r)
		s.d = s.parsed.Bypassed()
		if s.key != nil {
			s.fault = c.peek(ctx, s)
			s.d = rfc9111.Decide(&s.parsed, &s.lookup.Lookup, now)
		}
		if first == nil || first.lookup.Variants == nil && s.lookup.Variants != nil {
			first = s
		}
	}
	return first
}

// chains are what the layers of the cache stand on. Without any, nothing is known of the connection.
func (c *Cache) chains(r *http.Request) []*connection.Chain {
	if mounted := c.mountedChains(r); len(mounted) > 0 {
		return mounted
	}
	return []*connection.Chain{{Opaque: true}}
}

// mountedChains are what the layers of the cache stand on.
func (c *Cache) mountedChains(r *http.Request) []*connection.Chain {
	c.paths(r) // looks at all layers
	c.mounts.mu.Lock()
	defer c.mounts.mu.Unlock()
	return slices.Clone(c.mounts.chains)
}

// peek finds what find would for s, and changes nothing else.
func (c *Cache) peek(ctx context.Context, s *foreseen) (fault error) {
	f, a, r := &s.lookup, &s.parsed, s.request
	ctx, cancel := c.within(ctx)
	defer cancel()
	load := func(key []byte) *stored.Variants {
		if c.memory != nil {
			return c.peekMemory(key)
		}
		set, err := c.durable.Peek(ctx, string(key), r)
		fault = errors.Join(fault, err)
		return set
	}
	f.Fwd = cachestatus.FwdURIMiss
	var unhashed error
	s.hashes, unhashed = c.foreseenHashKey(ctx)
	if f.Variants = load(s.key); f.Variants != nil {
		f.Fwd = cachestatus.FwdVary
		f.Entry = rfc9111.Select(f.Variants, a, r, s.hashes)
	}
	if f.Entry == nil && c.searches.Load() && fault == nil {
		if search, err := c.searchKey(r, a.Path); err == nil {
			set := load(search)
			if e := selectFrom(set, a, r, s.hashes); e != nil {
				f.Lookup = rfc9111.Lookup{Entry: e, Variants: set, Key: string(search)}
			}
		}
	}
	if f.Entry != nil && c.refuses(r, f.Entry) {
		f.Entry, f.Fwd = nil, cachestatus.FwdMiss
	}
	if f.Entry != nil && !f.Entry.Body.InMemory() {
		if err := c.peekBody(ctx, a, f.Entry, s.now); err != nil {
			f.Entry, f.Fwd = nil, cachestatus.FwdMiss
			fault = errors.Join(fault, err)
		}
	}
	if fault == nil {
		fault = unhashed
	}
	return fault
}

// foreseenHashKey returns the key of the hashes of credentials that a request of this moment would be looked up and stored with, and puts none into the store:
// this process's, else the store's, else one of no consequence in the place of that which the first request would put there.
func (c *Cache) foreseenHashKey(ctx context.Context) (*stored.HashKey, error) {
	if key := c.hashKey(); key != nil {
		return key, nil
	}
	key, _, err := c.durable.KnownHashKey(ctx)
	if key == nil && err == nil {
		key = durable.NewHashKey()
	}
	return key, err
}

// peekBody reports why a body cannot be read that the answer to a request needs.
func (c *Cache) peekBody(ctx context.Context, a *rfc9111.Request, e *stored.Entry, now time.Time) error {
	if s := rfc9111.Shaped(a, e, now); a.Head || s.Status == http.StatusNotModified || s.Status == http.StatusRequestedRangeNotSatisfiable {
		return nil
	}
	_, err := c.durable.WithBody(ctx, e, 0)
	return err
}

func selectFrom(set *stored.Variants, a *rfc9111.Request, r *http.Request, key *stored.HashKey) *stored.Entry {
	if set == nil {
		return nil
	}
	return rfc9111.Select(set, a, r, key)
}

// explain puts what is foreseen into words.
func (c *Cache) explain(s *foreseen) *Explanation {
	r, e, now := s.request, s.lookup.Entry, s.now
	x := &Explanation{
		Method: cmp.Or(r.Method, http.MethodGet), URL: redact.URLText(rfc9111.DisplayURL(r)),
		Action: actionOf(s.d), Forward: Forward(s.d.Fwd), Detail: redact.Text(s.d.Detail), Fault: redact.ErrorText(s.fault),
	}
	x.Reasons = foreseenStatus(x, e, now).Reasons()
	if s.key != nil {
		x.Key = c.keyParts(s)
	}
	for _, stored := range s.lookup.Variants.All() {
		x.Stored = append(x.Stored, c.explainStored(s, stored, now))
	}
	slices.SortStableFunc(x.Stored, func(a, b ExplainedStored) int {
		switch {
		case a.Selected == b.Selected:
			return 0
		case a.Selected:
			return -1
		}
		return 1
	})
	if s.d.Action == rfc9111.Serve && s.d.Detail == "" && e.Rules.RefreshesAhead() {
		x.RefreshAhead = rfc9111.AheadProbability(&s.parsed, e, now)
	}
	x.Changes = c.changes(s, x)
	return x
}

// foreseenStatus is the Cache-Status of what is foreseen, as far as it is known before the origin has answered.
func foreseenStatus(x *Explanation, e *stored.Entry, now time.Time) Status {
	s := Status{Hit: x.Action == ActionServe || x.Action == ActionServeStale, Fwd: x.Forward, Detail: x.Detail}
	if e != nil && s.Hit {
		s.TTL, s.HasTTL = e.TTL(now), true
	}
	return s
}

func actionOf(d rfc9111.Decision) Action {
	switch d.Action {
	case rfc9111.Serve:
		return ActionServe
	case rfc9111.ServeStale:
		return ActionServeStale
	case rfc9111.Validate:
		return ActionValidate
	case rfc9111.Complete:
		return ActionComplete
	case rfc9111.Refuse:
		return ActionRefuse
	}
	return ActionFetch
}

// keyParts names what a key is made of. The strategy's share is its own, so of that a hash is shown, and what most strategies make it of.
func (c *Cache) keyParts(s *foreseen) []KeyPart {
	r := s.request
	parts := []KeyPart{{"connection", digest(s.parsed.Path.Append(nil))}}
	if s.parsed.Principal != "" {
		parts = append(parts, KeyPart{"principal", digest([]byte(s.parsed.Principal))})
	}
	method := cmp.Or(r.Method, http.MethodGet)
	if method == http.MethodHead {
		method = http.MethodGet
	}
	parts = append(parts, KeyPart{"method", method}, KeyPart{"URI", redact.URLText(rfc9111.DisplayURL(r))})
	var names []string
	for name := range r.Header {
		if credential.Named(name) {
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(names)
	for _, name := range names {
		parts = append(parts, KeyPart{"credentials", name})
	}
	if strategy, err := c.key.AppendKey(nil, r); err == nil {
		parts = append(parts, KeyPart{"strategy", digest(strategy)})
	}
	return append(parts, KeyPart{"key", c.hashOf(string(s.key))})
}

// digest is a short hash: two of them compare, and say nothing of what they are of.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "#" + hex.EncodeToString(sum[:6])
}

// explainStored says what a stored response is to a request.
func (c *Cache) explainStored(s *foreseen, e *stored.Entry, now time.Time) ExplainedStored {
	x := ExplainedStored{
		URL: redact.URLText(e.URL), StatusCode: e.Status, Size: e.Size, Selected: e == s.lookup.Entry, Received: e.Received,
		Age: e.Age(now), FreshnessLifetime: e.Rules.Lifetime, FreshFor: e.FreshFor(now), Sliding: e.Rules.Sliding,
		StaleWhileRevalidate: e.Rules.StaleWhileRevalidate, StaleIfError: e.Rules.StaleIfError,
		NoCache: e.Rules.NoCache, MustRevalidate: e.Rules.MustRevalidate, Immutable: e.Rules.Immutable,
		ETag: e.Header.Get("Etag"), LastModified: e.Header.Get("Last-Modified"),
	}
	if e.Pacing() != "" {
		x.EventStream = c.eventStreams.String() + ", " + e.Pacing().Duration().String()
	}
	for _, selector := range e.Selectors {
		value, present := rfc9111.Selecting(s.request, selector.Name, s.hashes)
		x.Varies = append(x.Varies, ExplainedField{
			Name: selector.Name, Matches: rfc9111.Matches(e, selector, s.request, s.hashes),
			Stored: shownValue(selector.Name, selector.Value, selector.Present), Request: shownValue(selector.Name, value, present),
		})
	}
	if !x.Selected {
		x.Why = c.whyNot(s, e, x.Varies)
	}
	return x
}

// shownValue is the value of a selecting header field as it may be shown.
func shownValue(name, value string, present bool) string {
	switch {
	case !present:
		return "(absent)"
	case rfc9111.IsHashed(name) || redact.IsSecretHeader(name):
		return digest([]byte(value))
	}
	return redact.Text(value)
}

// whyNot says why a stored response is not selected (RFC 9111 §4.1).
func (c *Cache) whyNot(s *foreseen, e *stored.Entry, fields []ExplainedField) string {
	switch i := slices.IndexFunc(fields, func(f ExplainedField) bool { return !f.Matches }); {
	case i >= 0:
		return "the request has another " + fields[i].Name
	case e.Search != nil && !e.Search.Covers(stored.QueryOf(s.request)):
		return "the query differs in what counts (No-Vary-Search)"
	case c.refuses(s.request, e):
		return "Options.Filter, Options.Statuses or Options.EventStreams does not allow it"
	case s.lookup.Entry == nil:
		return "its body cannot be read"
	case rfc9111.LacksBytes(&s.parsed, e):
		return "it is a part, and another one has the bytes"
	}
	return "the origin made another one later"
}

// changes says what would change what the cache does.
func (c *Cache) changes(s *foreseen, x *Explanation) (changes []string) {
	say := func(when bool, what string) {
		if when {
			changes = append(changes, what)
		}
	}
	e, a := s.lookup.Entry, &s.parsed
	asks := x.Action == ActionFetch || x.Action == ActionValidate || x.Action == ActionComplete
	if a.Bypass != "" {
		return []string{"a request that does not bypass the cache: " + redact.Text(a.Bypass)}
	}
	say(x.Forward == ForwardURIMiss, "a stored response to the same key; ExplainResponse says whether the origin's answer would be stored")
	say(x.Forward == ForwardVary, "a request with the values that a stored response varies on")
	say(x.Forward == ForwardMiss, "Options that allow what is stored, or its body")
	say(x.Forward == ForwardRequest && asks, "a request that demands less: "+x.Detail)
	say(x.Forward == ForwardStale && e != nil && e.Rules.NoCache, "a response without no-cache, or an expiry strategy that overrules the server")
	say(x.Forward == ForwardStale && e != nil && !e.Rules.NoCache, "a longer lifetime, or a stale-while-revalidate window that reaches to now (RFC 5861 §3)")
	say(x.Action == ActionServeStale, "the refresh that the request begins")
	if x.Action == ActionServe && e.FreshFor(s.now) > 0 {
		changes = append(changes, "the end of its freshness in "+e.FreshFor(s.now).Round(time.Second).String(), "an invalidation: an unsafe request to the URL, or a Delete method of the cache")
	}
	say(x.Action == ActionRefuse, "a request that may ask the origin: without only-if-cached")
	return changes
}
