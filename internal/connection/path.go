package connection

import (
	"context"
	"encoding/binary"
	"net/http"

	"github.com/plyhttp/ply/internal/reqctx"
)

// A Choice is what a client has chosen for the connections of a request. It doesn't change.
type Choice struct {
	Base *Identity // of the client's connections
	Own  *Identity // of those that the request takes

	outer *Choice // of a request in whose context this one was made, or nil
}

// With returns a context for requests whose connections are c's. A request in the context of another one belongs to both: what an unverified answer
// led to is not above it.
func With(ctx context.Context, c *Choice) context.Context {
	s := reqctx.From(ctx)
	if outer := chosen(s); outer != nil {
		inner := *c
		inner.outer = outer
		c = &inner
	}
	s.Connection = c
	return reqctx.With(ctx, s)
}

// Has reports whether the choice of ctx is c.
func Has(ctx context.Context, c *Choice) bool {
	in := chosen(reqctx.From(ctx))
	return in == c || in != nil && c != nil && in.Base == c.Base && in.Own == c.Own
}

func chosen(s reqctx.Values) *Choice {
	c, _ := s.Connection.(*Choice)
	return c
}

// A Path is how a request leaves: by the chain below a cache, as a client may have changed it for this request.
type Path struct {
	chain   *Chain
	choice  *Choice
	foreign bool // for requests of another scheme than those of HTTP
}

// PathOf returns the path of requests with a scope, below which there is chain.
func PathOf(chain *Chain, s reqctx.Values) Path { return Path{chain: chain, choice: chosen(s)} }

// For returns the path of those requests whose URL has this scheme.
func (p Path) For(scheme string) Path {
	p.foreign = !ofHTTP(scheme)
	return p
}

// Choices returns the path of requests in ctx, as far as that is known from it alone.
func Choices(ctx context.Context) Path { return PathOf(&Chain{Opaque: true}, reqctx.From(ctx)) }

// parts are the one or two identities that count, and the one of which the chain names what has no name.
func (p Path) parts() (first, second, base *Identity) {
	chain := &p.chain.Identity
	switch {
	case p.choice == nil:
		return chain, nil, chain
	case p.chain.Opaque:
		return p.choice.Own, nil, p.choice.Base
	case *chain == *p.choice.Base:
		return p.choice.Own, nil, chain
	}
	return chain, p.choice.Own, chain
}

// covers reports whether the chain has given a name to all that cannot be named in id.
func (p Path) covers(id, base *Identity) bool {
	return p.chain.given != "" && id.Local == base.Local
}

// tokens are those of id that count.
func (p Path) tokens(id, base *Identity) string {
	if p.covers(id, base) {
		return ""
	}
	if p.foreign {
		return id.Local + id.Foreign
	}
	return id.Local
}

// Append appends the name of the path, behind its length. Equal paths have equal names, in each process if [Path.Unnamed] is empty.
func (p Path) Append(dst []byte) []byte {
	first, second, base := p.parts()
	if p.choice == nil && p.chain.given == "" && p.chain.signed == "" && !p.foreign {
		dst = binary.AppendUvarint(dst, uint64(len(first.Name)+len(first.Local)))
		return append(append(dst, first.Name...), first.Local...)
	}
	var room [256]byte
	name := append(append(room[:0], p.chain.given...), p.chain.signed...)
	name = append(append(name, first.Name...), p.tokens(first, base)...)
	if second != nil {
		name = append(append(name, second.Name...), p.tokens(second, base)...)
	}
	if p.choice != nil {
		for outer := p.choice.outer; outer != nil; outer = outer.outer {
			name = append(append(name, outer.Own.Name...), outer.Own.Local...)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(name)))
	return append(dst, name...)
}

// Unnamed says why the path cannot be named by content, or is empty if it can.
func (p Path) Unnamed() string {
	first, second, base := p.parts()
	if p.foreign && p.chain.given == "" && (first.Foreign != "" || second != nil && second.Foreign != "") {
		return ownProtocol
	}
	if first.Why != "" && !p.covers(first, base) {
		return first.Why
	}
	if second != nil && second.Why != "" && !p.covers(second, base) {
		return second.Why
	}
	if p.choice != nil {
		for outer := p.choice.outer; outer != nil; outer = outer.outer {
			if outer.Own.Why != "" {
				return outer.Own.Why
			}
		}
	}
	return ""
}

// Signed reports whether signers on the way have said for whom they sign. The name of the path has it.
func (p Path) Signed() bool { return p.chain.signed != "" }

// Unseen reports whether nothing is known of the path, so that its answers have to be judged by themselves.
func (p Path) Unseen() bool { return p.chain.Opaque && p.chain.given == "" && p.choice == nil }

// Admits reports whether an answer may be kept among those of the path. One over a connection that was not verified may be kept
// if the path is known for that, and is not the common one then.
func (p Path) Admits(resp *http.Response) bool {
	if resp.TLS == nil || len(resp.TLS.VerifiedChains) > 0 || p.chain.given != "" {
		return true
	}
	first, second, _ := p.parts()
	return first.Unverified || second != nil && second.Unverified
}
