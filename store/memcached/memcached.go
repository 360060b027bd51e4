package memcached

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/store"
)

// An OptionError is what [Open] and [New] return for an option that cannot be carried out.
type OptionError = optionerror.Error

// Options are the settings of a [Store]. The zero value is good.
type Options struct {
	// Namespace is what the names of the items begin with. Caches with different namespaces share servers without sharing a record.
	// It has 1 to 64 characters of the set [A-Za-z0-9_.-]. Zero means "ply".
	Namespace string

	// MaxItemBytes is what the servers take for an item, their option -I. What is larger is cut into chunks. Zero means 1 MiB, as there. It is 16 KiB at least.
	MaxItemBytes int

	// MaxRecordBytes bounds the records that the store writes and reads. Zero means 2 MiB, which is what the cache needs.
	MaxRecordBytes int

	// Timeout is the longest that one call to a server may take if its context has more time, connecting included. Zero means one second. The cache brings its own, shorter one.
	Timeout time.Duration

	// Connections is the number of calls to each server that may run at once, and of connections to it. Others wait until their context is done. Zero means 32.
	Connections int

	// TLS is for servers with TLS (-Z). Nil means connections without it.
	TLS *tls.Config
}

var namespaces = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// checked returns the options with their defaults.
func (o Options) checked() (Options, error) {
	o.Namespace = cmp.Or(o.Namespace, "ply")
	o.MaxItemBytes = cmp.Or(o.MaxItemBytes, 1<<20)
	o.MaxRecordBytes = cmp.Or(o.MaxRecordBytes, 2<<20)
	o.Timeout = cmp.Or(o.Timeout, time.Second)
	o.Connections = cmp.Or(o.Connections, 32)
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
	}
	switch {
	case !namespaces.MatchString(o.Namespace):
		return o, optionError("Namespace", fmt.Sprintf("is %q: give 1 to 64 of the characters A-Z a-z 0-9 _ . -", o.Namespace))
	case o.MaxItemBytes < 16<<10 || o.MaxItemBytes > 1<<30:
		return o, optionError("MaxItemBytes", fmt.Sprintf("is %d: give 16 KiB to 1 GiB, as the servers have it (-I)", o.MaxItemBytes))
	case o.MaxRecordBytes < 0 || o.MaxRecordBytes > 256<<20:
		return o, optionError("MaxRecordBytes", fmt.Sprintf("is %d: give at most 256 MiB", o.MaxRecordBytes))
	case o.Timeout < 0:
		return o, optionError("Timeout", fmt.Sprintf("is %v: give a positive one", o.Timeout))
	case o.Connections < 0 || o.Connections > 10_000:
		return o, optionError("Connections", fmt.Sprintf("is %d: give 1 to 10000", o.Connections))
	}
	return o, nil
}

func optionError(option, reason string) error {
	return &OptionError{Package: "memcached", Option: option, Reason: reason}
}

// A Store is a [store.Store] in memcached. It is a [store.MultiGetter] and a [store.Clearer] as well.
// It is safe for concurrent use, and needs [Store.Close] in the end.
type Store struct {
	opt     Options
	servers []*server
	ring    ring
}

var _ interface {
	store.Closer
	store.MultiGetter
	store.Clearer
} = (*Store)(nil)

// New returns a store on servers, each a "host:port", a host whose port is 11211 then, or the path of a Unix socket. All processes that share the store
// name the same ones, spelled alike, in any order. It connects to none of them yet; see [Store.Ping].
func New(servers []string, o Options) (*Store, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if len(servers) == 0 {
		return nil, optionError("servers", "are missing: give one at least")
	}
	s := &Store{opt: o}
	var names []string
	for _, name := range servers {
		network, addr, err := address(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(names, addr) {
			return nil, optionError("servers", fmt.Sprintf("name %.100q twice", addr))
		}
		names = append(names, addr)
		s.servers = append(s.servers, &server{network: network, addr: addr, dial: o.dial, timeout: o.Timeout, guarded: len(servers) > 1,
			slots: make(chan struct{}, o.Connections)})
	}
	s.ring = newRing(names)
	return s, nil
}

// address returns where a server is.
func address(name string) (network, addr string, err error) {
	if strings.HasPrefix(name, "/") {
		return "unix", name, nil
	}
	host, port, err := net.SplitHostPort(name)
	if err != nil && !strings.ContainsAny(name, ":[]") {
		host, port, err = name, "11211", nil
	}
	if err != nil || host == "" || port == "" || strings.ContainsAny(host, "/@ ") {
		return "", "", optionError("servers", `must be like "host", "host:11211", "[::1]:11211" or "/run/memcached.sock"`)
	}
	return "tcp", net.JoinHostPort(strings.ToLower(host), port), nil
}

// dial connects within the context.
func (o Options) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{KeepAlive: 15 * time.Second}
	if o.TLS == nil {
		return d.DialContext(ctx, network, addr)
	}
	return (&tls.Dialer{NetDialer: d, Config: o.TLS}).DialContext(ctx, network, addr)
}

// Ping returns nil if all servers answer. The cache does not need it: what is on a server that is away counts as absent.
func (s *Store) Ping(ctx context.Context) error {
	return wrap("ping", s.each(func(srv *server) error { return srv.do(ctx, (*conn).version) }))
}

// Close closes the connections, those of calls that are under way when these have ended. Calling it again does nothing.
func (s *Store) Close() error {
	for _, srv := range s.servers {
		srv.close()
	}
	return nil
}

// each calls f with all servers at once, and returns what went wrong.
func (s *Store) each(f func(*server) error) error {
	if len(s.servers) == 1 {
		return f(s.servers[0])
	}
	failed := make(chan error, len(s.servers))
	for _, srv := range s.servers {
		go func() { failed <- f(srv) }() // ends with its call's context, and is waited for
	}
	var all []error
	for range s.servers {
		all = append(all, <-failed)
	}
	return errors.Join(all...)
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("memcached: %s: %w", op, err)
}
