package ply

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/plyhttp/ply/internal/connection"
)

// maxVariants limits the transports that a client keeps for requests with connection settings of their own.
// Beyond it, the least recently used one is evicted: its idle connections are closed, and its exchanges go on.
const maxVariants = 32

// transports ends a client's chain: the client's transport, and variants of it for requests with connection settings of their own.
type transports struct {
	base   Handler
	owned  bool
	choice func() *connection.Choice // the identity of base's connections, or nil for the common one; computed with the first request

	mu       sync.Mutex // guards the field below
	variants *simplelru.LRU[variant, *variantTransport]
}

type variantTransport struct {
	*http.Transport
	choice func() *connection.Choice
}

func newTransports(base Handler, owned bool) *transports {
	t := &transports{base: base, owned: owned}
	t.variants, _ = simplelru.NewLRU(maxVariants, func(_ variant, old *variantTransport) { old.CloseIdleConnections() })
	t.choice = sync.OnceValue(func() *connection.Choice {
		if chain := connection.Under(base); !chain.Common() {
			return &connection.Choice{Base: &chain.Identity, Own: &chain.Identity}
		}
		return nil
	})
	return t
}

func (t *transports) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.recorded(req)
	if err == nil && resp != nil && resp.StatusCode == http.StatusExpectationFailed && expects(req) {
		return repeatUnexpecting(req, resp, t.recorded)
	}
	return resp, err
}

func (t *transports) recorded(req *http.Request) (*http.Response, error) {
	if x := newExchangeRecord(req); x != nil {
		return x.record(req, t.exchange)
	}
	return t.exchange(req)
}

func (t *transports) exchange(req *http.Request) (*http.Response, error) {
	h, s := t.base, settingsOf(req.Context())
	if s != nil && s.transport != nil {
		h = s.transport.Transport
	}
	var resp *http.Response
	var err error
	if s != nil && s.timeouts.phased() {
		resp, err = s.timeouts.exchange(h, req)
	} else {
		resp, err = h.RoundTrip(req)
	}
	if err == nil {
		if resp != nil && resp.Request == nil {
			resp.Request = req // the transport has forgotten it; History and the texts of errors need it
		}
		return resp, nil
	}
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
	return nil, asTimeoutError(namedHost(err, req), h, req)
}

// CloseIdleConnections closes those of the transport and its variants.
func (t *transports) CloseIdleConnections() {
	closeIdle(t.base)
	t.mu.Lock()
	variants := t.variants.Values()
	t.mu.Unlock()
	for _, v := range variants {
		v.CloseIdleConnections()
	}
}

func (t *transports) close() {
	if t.owned {
		closeIdle(t.base)
	}
	t.mu.Lock()
	variants := t.variants.Values()
	t.mu.Unlock()
	for _, v := range variants {
		v.CloseIdleConnections()
	}
}

// variant returns the transport for v, or nil for base itself.
func (t *transports) variant(v variant) (*variantTransport, error) {
	if v == (variant{}) {
		return nil, nil
	}
	base, ok := t.base.(*http.Transport)
	if !ok {
		return nil, &OptionError{
			Option: v.option(),
			Reason: fmt.Sprintf("needs a transport that ply can copy, an *http.Transport; Options.Transport is %T, so configure that one instead", t.base),
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if made, ok := t.variants.Get(v); ok {
		return made, nil
	}
	made := &variantTransport{Transport: v.transport(base)}
	made.choice = sync.OnceValue(func() *connection.Choice { return v.choice(made.Transport, base) })
	t.variants.Add(v, made)
	return made, nil
}
