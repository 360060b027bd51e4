package connection

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
)

// A Dialer makes connections and can say of what kind. Its DialContext is known by its code, also in a copy of the transport that has it.
type Dialer struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Way
}

// A Way is where a dialer goes. The zero Way is TCP to the address that it is given.
type Way struct {
	Socket   string        // the path of the socket that it goes to whatever the address, or ""
	Local    net.Addr      // the local end, or nil
	Resolver *net.Resolver // what it looks names up with, or nil for the usual
	Unknown  bool          // Dial is the program's, and can go anywhere
	Guard    string        // what it refuses, by content, or ""
}

// WayOf is the way of a dialer that is the user's.
func WayOf(dial func(ctx context.Context, network, address string) (net.Conn, error)) Way {
	return Way{Unknown: !sameCode(dial, (&net.Dialer{}).DialContext)}
}

// asked is what a Dialer is asked for its way with, in place of a connection.
type asked struct{ way Part }

type askedKey struct{}

var errAsked = errors.New("connection: a dialer was asked for its way, and made no connection")

// ask asks a function for its way that is known to be the DialContext of a Dialer.
func ask(dial func(ctx context.Context, network, address string) (net.Conn, error)) Part {
	var a asked
	dial(context.WithValue(context.Background(), askedKey{}, &a), "", "")
	return a.way
}

// DialContext makes a connection.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if a, ok := ctx.Value(askedKey{}).(*asked); ok {
		a.way = d.Way.part()
		return nil, errAsked
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
