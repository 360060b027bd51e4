package ply

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"

	"github.com/plyhttp/ply/internal/connection"
)

// proxy is the Proxy of a transport: what chooses the proxies, behind what refuses requests.
func (o TransportOptions) proxy() (func(*http.Request) (*url.URL, error), error) {
	g, err := o.Guard.compile()
	if err != nil || g == nil && !o.HTTPSOnly {
		return o.Proxy, err
	}
	gate := &connection.Gate{Proxy: o.Proxy, Check: func(req *http.Request, proxy *url.URL) error {
		if o.HTTPSOnly && !isHTTPS(req.URL) {
			return newHTTPSOnlyError(req, false)
		}
		if g != nil && proxy != nil {
			return g.checkProxied(req, proxy)
		}
		return nil
	}}
	return gate.ChooseProxy, nil
}

type guardedDialKey struct{}

// guardedDial is one dial to a host, which may have several addresses.
type guardedDial struct {
	host    string
	allowed atomic.Bool // one of its addresses is, at least; set by dials to two addresses at once
}

// errAllowedFailed stands for a dial whose allowed addresses failed. net.Dialer returns the error of the first address alone, which was a refused one.
var errAllowedFailed = errors.New("no connection to the addresses that the Guard allows, and it refuses others of the host")

// within has d, with which dial dials, look at each address before it connects to it.
//
// A refusal is final for retry, so it is the error only if all addresses were refused: one that is allowed may do well the next time.
func (g *guard) within(d *net.Dialer, dial dialFunc) dialFunc {
	if g == nil {
		return dial
	}
	d.ControlContext = func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		dialed, _ := ctx.Value(guardedDialKey{}).(*guardedDial)
		if dialed == nil {
			dialed = new(guardedDial)
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return &GuardError{Host: dialed.host, Reason: "no IP address"}
		}
		if err := g.check(dialed.host, at.Addr()); err != nil {
			return err
		}
		dialed.allowed.Store(true)
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed := &guardedDial{host: hostOf(address)}
		conn, err := dial(context.WithValue(ctx, guardedDialKey{}, dialed), network, address)
		var refused *GuardError
		if err != nil && dialed.allowed.Load() && errors.As(err, &refused) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: cmp.Or(ctx.Err(), errAllowedFailed)}
		}
		return conn, err
	}
}

// around looks at an address before dial, which is the program's, sees it, and at what dial says it has connected to.
func (g *guard) around(dial dialFunc) dialFunc {
	if g == nil {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host := hostOf(address)
		if addr, err := netip.ParseAddr(host); err == nil {
			if err := g.check(host, addr); err != nil {
				return nil, err
			}
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if conn == nil {
			return nil, errors.New("ply: TransportOptions.DialContext returned neither a connection nor an error")
		}
		addr, ok := remoteOf(conn)
		if ok {
			err = g.check(host, addr)
		} else {
			err = &GuardError{Host: host, Reason: "the dialer does not say which IP address it has connected to"}
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// remoteOf returns the IP address of the other end of conn.
func remoteOf(conn net.Conn) (netip.Addr, bool) {
	if conn.RemoteAddr() == nil {
		return netip.Addr{}, false
	}
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return at.Addr(), err == nil
}
