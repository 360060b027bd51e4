package cache

import (
	"net/http"
	"slices"
	"sync"
	"weak"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/reqctx"
)

// NamedConnection returns a layer that names the connections below it, for a cache above it.
//
// A cache keeps answers that came over different connections apart. It names a connection by content: the client's certificates,
// the trusted roots, the proxy, the socket. A function has no content: a dialer of one's own, a verification callback,
// a choice of client certificates. In memory, a cache keeps the answers of each such transport apart all the same.
// A store that outlives the process, or that others read, would mix them up, so the cache bypasses it, and Cache-Status says why.
// With a name, which stands for everything below that has none, the store serves again:
//
//	ply.Options{Use: []ply.Middleware{c.Middleware, cache.NamedConnection("gateway of the head office")}, Transport: transport}
//
// Connections may share a name if they lead to the same servers, present the same client and trust the same servers, in each process.
// Unverified answers below the layer are stored under its name, too. The name is hashed before it reaches a store. An empty name names nothing.
func NamedConnection(name string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		if next == nil {
			next = http.DefaultTransport
		}
		return &namedConnection{next: next, name: name}
	}
}

type namedConnection struct {
	next http.RoundTripper
	name string
}

func (n *namedConnection) RoundTrip(r *http.Request) (*http.Response, error) {
	return n.next.RoundTrip(r)
}

// ConnectionName returns the name.
func (n *namedConnection) ConnectionName() string { return n.name }

// LayerName returns "connection name".
func (n *namedConnection) LayerName() string { return "connection name" }

// Unwrap returns the next handler.
func (n *namedConnection) Unwrap() http.RoundTripper { return n.next }

// WrappedRoundTripper returns the next handler, under the name that Kubernetes' libraries look for.
func (n *namedConnection) WrappedRoundTripper() http.RoundTripper { return n.next }

// CloseIdleConnections closes the idle connections of the next handler.
func (n *namedConnection) CloseIdleConnections() {
	if next, ok := n.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// mounts are the places of a cache in chains, and the connections that they have led to.
type mounts struct {
	mu     sync.Mutex // guards the fields below
	layers []weak.Pointer[layer]
	live   int // of layers, when they were last counted
	chains []*connection.Chain
}

// maxChains bounds the connections that are remembered, those of layers that have been collected among them.
const maxChains = 256

// add remembers a layer. Once in a while it forgets those that have been collected.
func (m *mounts) add(l *layer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.layers) > 2*m.live+16 {
		m.layers = slices.DeleteFunc(m.layers, func(p weak.Pointer[layer]) bool { return p.Value() == nil })
		m.live = len(m.layers)
	}
	m.layers = append(m.layers, weak.Make(l))
}

// under returns the connections below next, and remembers them.
func (m *mounts) under(next http.RoundTripper) *connection.Chain {
	chain := connection.Under(next)
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.chains, func(known *connection.Chain) bool { return *known == chain })
	if i >= 0 {
		return m.chains[i]
	}
	if len(m.chains) == maxChains {
		m.chains = slices.Delete(m.chains, 0, 1)
	}
	m.chains = append(m.chains, &chain)
	return &chain
}

// paths are all connections by which requests with the context of r may have come through the cache, the unnamed default among them.
func (c *Cache) paths(r *http.Request) []connection.Path {
	m := &c.mounts
	m.mu.Lock()
	layers := slices.Clone(m.layers)
	m.mu.Unlock()
	for _, p := range layers {
		if l := p.Value(); l != nil {
			l.below() // calls under, which takes the lock
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	in := reqctx.From(r.Context())
	paths := []connection.Path{connection.PathOf(&connection.Chain{Opaque: true}, in).For(r.URL.Scheme)}
	known := map[string]bool{string(paths[0].Append(nil)): true}
	for _, chain := range m.chains {
		path := connection.PathOf(chain, in).For(r.URL.Scheme)
		if name := string(path.Append(nil)); !known[name] && (c.durable == nil || path.Unnamed() == "") {
			known[name] = true
			paths = append(paths, path)
		}
	}
	return paths
}
