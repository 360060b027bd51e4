package cache

import (
	"net/http"
	"sync"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// anonymousKeyOf asks a strategy what follows the target URI in the key of a request without credentials, if it is made in that way.
func anonymousKeyOf(s keying.Strategy) (string, bool) {
	if s, ok := s.(interface{ AnonymousKey() string }); ok {
		return s.AnonymousKey(), true
	}
	return "", false
}

// keys are buffers for keys.
var keys = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// putKey gives a buffer back, unless a long URL has made it large.
func putKey(buffer *[]byte) {
	if cap(*buffer) <= 16<<10 {
		keys.Put(buffer)
	}
}

// unnamedConnection begins the reason for which answers stay out of a store that outlives the process, or that others read: the name of their connection
// would mean something else there.
const unnamedConnection = "no name for the connection: "

// keyRoom is room for the key of most requests, on the stack.
const keyRoom = 256

// anonymousKey appends the primary key of a GET without credentials, if the strategy has a short way to it. Otherwise it returns nil.
func (c *Cache) anonymousKey(dst []byte, a *rfc9111.Request, r *http.Request) []byte {
	if !c.byURI || a.Credentials || r.Method != http.MethodGet {
		return nil
	}
	dst = append(appendPrincipal(a.Path.Append(dst), a.Principal), 0)
	return append(target.AppendURI(dst, r), c.anonymous...)
}

// appendKey appends the primary key: the connection, the named principal, the class of the method, what the strategy makes of the request,
// and the content of a request with content, unless the strategy has seen to it (RFC 9111 §2, RFC 10008 §2.7).
func (c *Cache) appendKey(dst []byte, r *http.Request, by connection.Path) ([]byte, error) {
	return c.appendKeyBy(dst, r, by, c.key.AppendKey)
}

// appendKeyBy is appendKey with what a strategy appends.
func (c *Cache) appendKeyBy(dst []byte, r *http.Request, by connection.Path, strategy func([]byte, *http.Request) ([]byte, error)) ([]byte, error) {
	dst = appendPrincipal(by.Append(dst), reqctx.From(r.Context()).Principal)
	content := false
	switch r.Method {
	case "", http.MethodGet, http.MethodHead:
		dst = append(dst, 0)
	default:
		dst, content = target.Append(dst, r.Method), !c.keysContent
	}
	dst, err := strategy(dst, r)
	if err != nil || !content {
		return dst, err
	}
	return c.content.AppendPart(dst, r)
}

// searchKey is the key under which responses stand that do not vary on the whole query. Who asks stays in it, where the query says that, too:
// a strategy is asked about the request as it was sent, unless it says itself what it makes of the URL, and parameters whose names say that they are secret count always.
func (c *Cache) searchKey(r *http.Request, by connection.Path) ([]byte, error) {
	return c.appendKeyBy([]byte("search"), r, by, func(dst []byte, r *http.Request) ([]byte, error) {
		dst = credential.AppendQuery(dst, stored.QueryOf(r))
		if s, ok := c.key.(interface {
			AppendSearchKey(dst []byte, bare, r *http.Request) ([]byte, error)
		}); ok {
			return s.AppendSearchKey(dst, stored.WithoutQuery(r), r)
		}
		return c.key.AppendKey(dst, r)
	})
}
