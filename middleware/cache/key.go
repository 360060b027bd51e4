package cache

import (
	"net/http"
	"sync"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// anonymousKeyOf returns what follows the target URI in a strategy's key for a request without credentials. It is false if the strategy makes keys in another way.
func anonymousKeyOf(s keying.Strategy) (string, bool) {
	if s, ok := s.(interface{ AnonymousKey() string }); ok {
		return s.AnonymousKey(), true
	}
	return "", false
}

// keys has buffers for keys.
var keys = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// putKey gives a buffer back, unless a long URL has made it large.
func putKey(buffer *[]byte) {
	if cap(*buffer) <= 16<<10 {
		keys.Put(buffer)
	}
}

// unnamedConnection begins the reason for which a byte store is bypassed: other processes would not know which connection is meant.
const unnamedConnection = "no name for the connection: "

// keyRoom is room for the key of most requests, on the stack.
const keyRoom = 256

// anonymousKey appends the primary key of a GET without credentials, if the strategy has a short way to it. It returns nil if not.
func (c *Cache) anonymousKey(dst []byte, a *rfc9111.Request, r *http.Request) []byte {
	if !c.byURI || a.Credentials || r.Method != http.MethodGet {
		return nil
	}
	dst = append(appendPrincipal(a.Path.Append(dst), a.Principal), 0)
	return append(target.AppendURI(dst, r), c.anonymous...)
}

// keyIn returns the primary key of a request, in a buffer, or nil if the request bypasses the cache. One for which the strategy has no key does so.
func (c *Cache) keyIn(buffer *[]byte, a *rfc9111.Request, r *http.Request) []byte {
	if a.Bypass != "" {
		return nil
	}
	key, err := c.appendKey((*buffer)[:0], r, a.Path)
	if *buffer = key; err != nil {
		a.SetBypass("no key: "+err.Error(), cachestatus.FwdBypass)
		return nil
	}
	return key
}

// appendKey appends the primary key: the connection, the named principal, the class of the method, what the strategy makes of the request,
// and the content of a request with content, unless the strategy keys that itself (RFC 9111 §2, RFC 10008 §2.7).
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

// searchKey is the key of responses that do not vary on the whole query (No-Vary-Search). It keeps principals apart even where the query alone tells them apart:
// the strategy sees the request as it was sent, unless it has a method for this, and parameters with the name of a secret always count.
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
