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
	Way
}

// A Way is where a dialer connects to. The zero Way is TCP to the given address.
type Way struct {
	Socket   string        // the path of the socket that it connects to, whatever the address, or ""
	Local    net.Addr      // the local address, or nil
	Resolver *net.Resolver // the resolver, or nil for net.DefaultResolver
	Unknown  bool          // Dial is the program's, and may connect to anything
	Guard    string        // what it refuses, by content, or ""
}

// WayOf returns the way of a dialer of the program's.
func WayOf(dial func(ctx context.Context, network, address string) (net.Conn, error)) Way {
	return Way{Unknown: !sameCode(dial, (&net.Dialer{}).DialContext)}
}

// wayRequest asks a Dialer, by its context, for its way instead of a connection.
type wayRequest struct{ way Part }

type wayRequestKey struct{}

var errWayRequest = errors.New("connection: a dialer was asked for its way, and made no connection")

// askWay returns the way of dial, which must be the DialContext of a Dialer.
func askWay(dial func(ctx context.Context, network, address string) (net.Conn, error)) Part {
	var r wayRequest
	dial(context.WithValue(context.Background(), wayRequestKey{}, &r), "", "")
	return r.way
}

// DialContext makes a connection.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if r, ok := ctx.Value(wayRequestKey{}).(*wayRequest); ok {
		r.way = d.Way.part()
		return nil, errWayRequest
	}
	return d.Dial(ctx, network, address)
}

func (w *Way) part() Part {
	var p Part
	switch {
	case w.Unknown:
		p.unnamed(ownDialer, "")
	case w.Socket != "":
		path := w.Socket
		if absolute, err := filepath.Abs(path); err == nil && !strings.HasPrefix(path, "@") { // "@" begins an abstract name
			path = absolute
		}
		p.add("socket", path)
	}
	if w.Guard != "" {
		p.add("guard", w.Guard)
	}
	if w.Local != nil {
		p.add("local address", w.Local.Network(), w.Local.String())
	}
	if w.Resolver != nil && w.Resolver.Dial != nil {
		p.unnamed("a resolver of the transport's own cannot be named", "")
	}
	return p
}
