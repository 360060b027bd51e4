package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// Bounds of the proxy's servers.
const (
	headerTimeout  = 10 * time.Second // to read the header of a request
	idleTimeout    = 2 * time.Minute  // of a connection without a request
	maxHeaderBytes = 64 << 10
)

type proxyFlags struct {
	chainFlags
	listen, inspect, forwarded string
	shared, quiet              bool
	hosts                      []string
	maxBody                    int64
	headerTimeout, grace       time.Duration
	staleIfError               time.Duration
}

func newProxyCommand(e *env) *cobra.Command {
	f := &proxyFlags{}
	cmd := &cobra.Command{
		Use:   "proxy ORIGIN",
		Short: "Put the cache in front of an origin, as a local reverse proxy",
		Long: `ply proxy answers HTTP requests from the cache, and forwards the others to ORIGIN. What
the cache did stands in Cache-Status, and in a line for each request on stderr.

Without --shared the cache is private: it listens on loopback addresses only, answers only
requests for localhost (or a --host), and keeps the answers of different credentials and
cookies apart. With --shared it serves anyone, as RFC 9111 lets a shared cache: it obeys
s-maxage and private, and stores no answer to a request with credentials or cookies unless
the origin permits it.

Upgraded connections, WebSockets, pass by the cache. SIGINT or SIGTERM ends the proxy once
the requests under way have their answers.`,
		Example: `  ply proxy https://api.example.com --listen 127.0.0.1:8080
  ply proxy https://api.example.com --inspect 127.0.0.1:7117
  ply proxy http://10.0.0.5:3000 --shared --listen :8080 --cache redis://localhost:6379`,
		Args: takesArgs(1, 1, "an ORIGIN, as https://api.example.com"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), e, args[0]) },
	}
	flags := cmd.Flags()
	addStoreFlag(cmd, e, &f.cache)
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "address to listen on; port 0 chooses one")
	flags.StringVar(&f.inspect, "inspect", "", "address for the inspector's page, as 127.0.0.1:7117; loopback only")
	flags.BoolVar(&f.shared, "shared", false, "be a shared cache, for several people")
	flags.StringSliceVar(&f.hosts, "host", nil, "name that requests may be for, beside localhost; with --shared any may be")
	flags.StringVar(&f.forwarded, "forwarded", "x", "tell the origin who asks: x (X-Forwarded-For, -Host, -Proto), rfc7239 (Forwarded), none")
	flags.DurationVar(&f.headerTimeout, "origin-timeout", time.Minute, "how long the origin may take to begin its answer")
	flags.DurationVar(&f.staleIfError, "stale-if-error", 0, "how long a stale answer stands in for an error, where the origin does not say so (RFC 5861)")
	flags.IntVar(&f.retries, "retries", 2, "how often a request is sent again that is safe to send again; 0 means never")
	flags.BoolVarP(&f.insecure, "insecure", "k", false, "do not verify the origin's certificate")
	flags.Int64Var(&f.maxBody, "max-body", 64<<20, "bytes that the body of a request may have")
	flags.DurationVar(&f.grace, "grace", 10*time.Second, "how long requests under way may take when the proxy is ended")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no line for each request")
	complete(cmd, "forwarded", "x", "rfc7239", "none")
	return cmd
}

func (f *proxyFlags) run(ctx context.Context, e *env, rawOrigin string) (err error) {
	origin, err := f.check(rawOrigin)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	c := &chain{}
	defer func() { err = errors.Join(err, c.close()) }()
	inspector, err := f.chain(ctx, c)
	if err != nil {
		return err
	}
	bypass, err := f.bypassingTransport()
	if err != nil {
		return err
	}
	defer bypass.CloseIdleConnections()
	p := newProxy(e, f, origin, listener.Addr().String(), c.client.HTTPClient().Transport, bypass)
	servers := []server{{"proxy", listener, p}}
	if f.inspect != "" {
		at, err := net.Listen("tcp", f.inspect)
		if err != nil {
			return err
		}
		defer at.Close()
		servers = append(servers, server{"inspector", at, inspector})
	}
	if inspector != nil {
		defer inspector.Close()
	}
	return f.serve(ctx, e, servers)
}

// check returns the origin, or says which flag or argument cannot be used.
// Over 15 branches on purpose: it is a list of mistakes and their messages.
func (f *proxyFlags) check(rawOrigin string) (*url.URL, error) {
	origin, err := url.Parse(rawOrigin)
	switch {
	case err != nil || origin.Host == "" || origin.Scheme != "http" && origin.Scheme != "https":
		return nil, usageErrorf("the ORIGIN must be a URL such as https://api.example.com")
	case origin.User != nil:
		return nil, usageErrorf("the ORIGIN has a user or a password: leave them out, each client sends its own credentials")
	case origin.RawQuery != "" || origin.Fragment != "":
		return nil, usageErrorf("the ORIGIN has a query or a fragment: leave it out")
	case f.retries < 0 || f.maxBody < 0 || f.grace < 0 || f.headerTimeout < 0 || f.staleIfError < 0:
		return nil, usageErrorf("numbers and durations cannot be negative")
	case f.cache == noStore:
		return nil, usageErrorf("a proxy needs a cache: leave out --cache none, or say memory")
	case !f.shared && !isLoopback(f.listen):
		return nil, usageErrorf("--listen %s is not a loopback address: a private cache is for this machine, --shared is for others", f.listen)
	case f.inspect != "" && !isLoopback(f.inspect):
		return nil, usageErrorf("--inspect %s is not a loopback address: the inspector shows what is for this machine only", f.inspect)
	}
	return origin, oneOf("--forwarded", f.forwarded, "x", "rfc7239", "none")
}

// isLoopback reports whether only this machine can connect to an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// chain fills c: inspector → cache → retry. The inspector is nil without --inspect.
func (f *proxyFlags) chain(ctx context.Context, c *chain) (inspector *inspect.Inspector, err error) {
	if c.store, err = openStore(ctx, f.cache); err != nil {
		return nil, fmt.Errorf("the cache cannot be opened: %w", err)
	}
	c.cache, err = cache.New(cache.Options{Store: c.store, StoreTimeout: storeTimeout, Shared: f.shared, StaleIfError: f.staleIfError, MaxStaleDisconnected: f.staleIfError, Tags: tagsOf})
	if err != nil {
		return nil, err
	}
	layers := []ply.Middleware{c.cache.Middleware, retry.New(retry.Options{MaxAttempts: f.retries + 1})}
	if f.inspect != "" {
		if inspector, err = inspect.New(inspect.Options{Cache: c.cache}); err != nil {
			return nil, err
		}
		layers = append([]ply.Middleware{inspector.Middleware}, layers...)
	}
	o := ply.Options{Timeouts: ply.Timeouts{ResponseHeader: f.headerTimeout}, TrustEnv: true, Use: layers}
	if f.insecure {
		o.Defaults = []ply.RequestOption{ply.InsecureSkipVerify()}
	}
	c.client, err = ply.New(o)
	return inspector, err
}

// A server is something that the proxy listens for.
type server struct {
	name     string
	listener net.Listener
	handler  http.Handler
}

// serve serves until ctx is done, and then until the requests under way have their answers, or the time of grace is over.
func (f *proxyFlags) serve(ctx context.Context, e *env, servers []server) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	ended := make(chan error, len(servers))
	running := make([]*http.Server, len(servers))
	for i, s := range servers {
		running[i] = &http.Server{
			Handler: s.handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
			BaseContext: func(net.Listener) context.Context { return requests }, ErrorLog: discardLog,
		}
		s.announce(e)
		go func() { ended <- running[i].Serve(s.listener) }()
	}
	var failed error
	left := len(servers)
	select {
	case <-ctx.Done():
	case failed = <-ended:
		left--
	}
	within, stop := context.WithTimeout(context.WithoutCancel(ctx), f.grace)
	defer stop()
	if len(running) > 1 { // the inspector's streams never end by themselves
		running[1].Close()
	}
	if running[0].Shutdown(within) != nil {
		e.say("ending requests that are still under way")
	}
	cut()
	running[0].Close()
	for range left {
		if err := <-ended; failed == nil && !errors.Is(err, http.ErrServerClosed) {
			failed = err
		}
	}
	return failed
}

// announce says where a server listens.
func (s server) announce(e *env) {
	url := "http://" + s.listener.Addr().String() + "/"
	if e.json() {
		json.NewEncoder(e.stdout).Encode(map[string]string{"name": s.name, "url": url})
		return
	}
	fmt.Fprintf(e.stdout, "%-10s %s\n", s.name, url)
}

// isUpgrade reports whether a request asks for another protocol on its connection (RFC 9110 §7.8). HTTP by another version, or TLS, is none:
// the requests that came there would pass by the proxy and its rules.
func isUpgrade(r *http.Request) bool {
	protocols := strings.ToLower(strings.Join(r.Header["Upgrade"], ","))
	if protocols == "" || strings.Contains(protocols, "h2") {
		return false
	}
	for protocol := range strings.SplitSeq(protocols, ",") {
		if name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/"); name == "http" || name == "tls" { // the version may be left out
			return false
		}
	}
	for _, line := range r.Header["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "upgrade") {
				return true
			}
		}
	}
	return false
}
