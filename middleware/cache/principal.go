package cache

import (
	"context"
	"encoding/binary"

	"github.com/plyhttp/ply/internal/reqctx"
)

// WithPrincipal returns a context for requests that the program makes for the principal with this name: a user, a tenant, a service account.
// The name is part of the key of each request, whatever [Options.Key] says, so an answer made for one principal never reaches another.
// What the strategy says counts beside it: with [keying.Default] the credentials of the request, with [keying.SingleUser] the name alone tells principals apart.
//
// It is the way to say who asks where a layer below the cache, or the transport, adds the credentials: without a name, the cache
// does not store what came back for credentials that it has not seen. With one, a private cache does; a shared cache still wants the server's
// permission (RFC 9111 §3.5).
//
// Give an identifier that means the same in each process that shares a store, and no secret: keys and stores hold only an unkeyed hash of the name,
// so those who can read a store can try names out. The innermost context counts. An empty name undoes an outer one: then the request itself says who asks.
// The name is never sent to the server.
func WithPrincipal(ctx context.Context, name string) context.Context {
	s := reqctx.From(ctx)
	s.Credential = nil // the request says by itself who asks, as far as the name does not
	if s.Principal, s.Unnamed = "", false; name != "" {
		s.Principal = reqctx.HashPrincipal(name)
	}
	return reqctx.With(ctx, s)
}

// appendPrincipal appends the hash of a principal's name to a key, if there is one. The number before it is no length that any other part of a key has.
func appendPrincipal(dst []byte, hashed string) []byte {
	if hashed == "" {
		return dst
	}
	dst = binary.AppendUvarint(dst, 1<<62)
	return append(dst, hashed...)
}
