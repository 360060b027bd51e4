package connection

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
)

// A Dialer makes connections of a known kind. Its DialContext is recognized by its code, even in a copy of the transport.
type Dialer struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	DialTarget
}

// A DialTarget is where a dialer connects to. The zero DialTarget is TCP to the given address.
type DialTarget struct {
	Socket   string        // the path of the socket that it connects to, whatever the address, or ""
	Local    net.Addr      // the local address, or nil
	Resolver *net.Resolver // the resolver, or nil for net.DefaultResolver
	Unknown  bool          // Dial is the program's, and may connect to anything
	Guard    string        // what it refuses, by content, or ""
}

// DialTargetOf returns the way of a dialer of the program's.
func DialTargetOf(dial func(ctx context.Context, network, address string) (net.Conn, error)) DialTarget {
	return DialTarget{Unknown: !sameCode(dial, (&net.Dialer{}).DialContext)}
}

// dialTargetRequest asks a Dialer, by its context, for its target instead of a connection.
type dialTargetRequest struct{ target Part }

type dialTargetRequestKey struct{}

var errDialTargetRequest = errors.New("connection: a dialer was asked for its target, and made no connection")

// askDialTarget returns the target of dial, which must be the DialContext of a Dialer.
func askDialTarget(dial func(ctx context.Context, network, address string) (net.Conn, error)) Part {
	var r dialTargetRequest
	dial(context.WithValue(context.Background(), dialTargetRequestKey{}, &r), "", "")
	return r.target
}

// DialContext makes a connection.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if r, ok := ctx.Value(dialTargetRequestKey{}).(*dialTargetRequest); ok {
		r.target = d.DialTarget.part()
		return nil, errDialTargetRequest
	}
	return d.Dial(ctx, network, address)
}

func (t *DialTarget) part() Part {
	var p Part
	switch {
	case t.Unknown:
		p.unnamed(ownDialer, "")
	case t.Socket != "":
		path := t.Socket
		if absolute, err := filepath.Abs(path); err == nil && !strings.HasPrefix(path, "@") { // "@" begins an abstract name
			path = absolute
		}
		p.add("socket", path)
	}
	if t.Guard != "" {
		p.add("guard", t.Guard)
	}
	if t.Local != nil {
		p.add("local address", t.Local.Network(), t.Local.String())
	}
	if t.Resolver != nil && t.Resolver.Dial != nil {
		p.unnamed("a resolver of the transport's own cannot be named", "")
	}
	return p
}
