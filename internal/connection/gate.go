package connection

import (
	"context"
	"net/http"
	"net/url"
)

// A Gate is what the requests of a transport pass before they get a connection. Its ChooseProxy is the transport's Proxy, and is known by its code, also in a copy.
type Gate struct {
	Proxy func(*http.Request) (*url.URL, error) // chooses the proxies, or nil for none

	// Check refuses a request by its error. proxy is that of the request, or nil. It is called concurrently.
	Check func(req *http.Request, proxy *url.URL) error
}

type gateKey struct{}

// ChooseProxy chooses the proxy of a request that may pass.
func (g *Gate) ChooseProxy(req *http.Request) (*url.URL, error) {
	if found, ok := req.Context().Value(gateKey{}).(**Gate); ok {
		*found = g
		return nil, errDialTargetRequest
	}
	var proxy *url.URL
	if g.Proxy != nil {
		var err error
		if proxy, err = g.Proxy(req); err != nil {
			return nil, err
		}
	}
	if err := g.Check(req, proxy); err != nil {
		return nil, err
	}
	return proxy, nil
}

// GateOf returns the gate of a transport, or nil if it has none.
func GateOf(t *http.Transport) *Gate {
	if t.Proxy == nil || !sameCode(t.Proxy, (&Gate{}).ChooseProxy) {
		return nil
	}
	var g *Gate
	t.Proxy((&http.Request{}).WithContext(context.WithValue(context.Background(), gateKey{}, &g)))
	return g
}

// SetProxy has t, a clone that is not used yet, choose its proxies with proxy, which may be nil, and keeps its gate.
func SetProxy(t *http.Transport, proxy func(*http.Request) (*url.URL, error)) {
	if g := GateOf(t); g != nil {
		proxy = (&Gate{Proxy: proxy, Check: g.Check}).ChooseProxy
	}
	t.Proxy = proxy
}
