package connection

import (
	"context"
	"encoding/binary"
	"net/http"
	"strings"

	"github.com/plyhttp/ply/internal/reqctx"
)

// A Choice is what a client has chosen for the connections of a request. It does not change.
type Choice struct {
	Base *Identity // of the client's connections
	Own  *Identity // of those that the request takes

	outer *Choice // the choice in the context in which this one was made, or nil
}

// With returns a context for requests whose connections are those of c. A request in the context of another has both choices,
// because what an unverified response leads to is no more trustworthy than that response.
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

// A Path is the way of a request from a cache to its connection: the chain below the cache, and what a client has chosen for the request.
type Path struct {
	chain    *Chain
	choice   *Choice
	foreign  bool // for requests of another scheme than those of HTTP
	unsigned bool // for requests that signers leave alone
}

// PathOf returns the path of requests with the context values s through chain.
func PathOf(chain *Chain, s reqctx.Values) Path {
	return Path{chain: chain, choice: chosen(s), unsigned: s.Unsigned}
}

// signed are the principals for whom the path's requests are signed, as in its chain.
func (p Path) signed() string {
	if p.unsigned {
		return ""
	}
	return p.chain.signed
}

// For returns the path for requests with a scheme.
func (p Path) For(scheme string) Path {
	p.foreign = !ofHTTP(scheme)
	return p
}

// Choices returns the path of requests in ctx through an unknown chain.
func Choices(ctx context.Context) Path { return PathOf(&Chain{Opaque: true}, reqctx.From(ctx)) }

// parts returns the one or two identities of the path, and the identity whose unnamed parts the chain's given name stands for.
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

// covers reports whether the chain's given name stands for everything in id that cannot be named.
func (p Path) covers(id, base *Identity) bool {
	return p.chain.given != "" && id.Local == base.Local
}

// tokens returns the tokens of id that are part of the path's name.
func (p Path) tokens(id, base *Identity) string {
	if p.covers(id, base) {
		return ""
	}
	if p.foreign {
		return id.Local + id.Foreign
	}
	return id.Local
}

// Append appends the length of the path's name, and the name. Equal paths have equal names; if [Path.Unnamed] is empty, in all processes.
func (p Path) Append(dst []byte) []byte {
	first, second, base := p.parts()
	if p.choice == nil && p.chain.given == "" && p.signed() == "" && !p.foreign {
		dst = binary.AppendUvarint(dst, uint64(len(first.Name)+len(first.Local)))
		return append(append(dst, first.Name...), first.Local...)
	}
	var room [256]byte
	name := append(append(room[:0], p.chain.given...), p.signed()...)
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

// Unnamed returns why the path cannot be named by content, or "" if it can.
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

// SignedFor reports whether the path's name includes a principal for whom a signer in the chain signs.
func (p Path) SignedFor(principal string) bool {
	return !p.unsigned && strings.Contains(p.chain.signers, signerOf(principal))
}

// Credentialed reports whether a layer in the chain adds credentials: it tells the cache of them. If it names the principal, the path's name includes that.
func (p Path) Credentialed() bool { return p.chain.adds }

// Unseen reports whether nothing is known of the path, or not which way a request takes, so that each response must be judged by itself.
func (p Path) Unseen() bool {
	return p.chain.given == "" && (p.chain.mixed || p.chain.Opaque && p.choice == nil)
}

// Common reports whether the path's requests take a connection as any client makes it, for all that is known.
func (p Path) Common() bool {
	id := p.chain.Identity
	id.Foreign = ""
	return p.chain.given == "" && p.choice == nil && id.Common()
}

// Admits reports whether a response may be stored under the path's name. A response over an unverified connection may be stored only
// if the path is known to be unverified, which the common path is not.
func (p Path) Admits(resp *http.Response) bool {
	if resp.TLS == nil || len(resp.TLS.VerifiedChains) > 0 || p.chain.given != "" {
		return true
	}
	first, second, _ := p.parts()
	return first.Unverified || second != nil && second.Unverified
}
