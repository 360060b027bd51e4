// Reverseproxy puts a shared cache in front of a server.
//
//	go run ./examples/reverseproxy                               a few requests through it, to a server that it starts and stops itself
//	go run ./examples/reverseproxy -listen localhost:8080 URL    in front of a server of yours, until Ctrl-C
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	listen := flag.String("listen", "localhost:0", "the address to listen on")
	flag.Parse()
	err := error(nil)
	if flag.NArg() == 0 {
		err = tour(ctx, os.Stdout)
	} else {
		err = serve(ctx, os.Stdout, *listen, flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reverseproxy:", err)
		os.Exit(1)
	}
}

// A proxy is an http.Handler that forwards to one server what its cache cannot answer. Its owner closes it.
type proxy struct {
	http.Handler
	cache  *cache.Cache
	client *ply.Client
}

func newProxy(upstream string) (*proxy, error) {
	target, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	if target.Scheme == "" || target.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a server, such as http://10.0.0.5:3000", upstream)
	}
	c, err := cache.New(cache.Options{
		Shared:       true, // for many people: s-maxage and private count, and an answer to a request with credentials is not shared
		StaleIfError: 10 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	client, err := ply.New(ply.Options{
		Timeouts: ply.Timeouts{ResponseHeader: 30 * time.Second}, // no Total: a download may take as long as it takes
		Use:      []ply.Middleware{c.Middleware, retry.New(retry.Options{})},
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return &proxy{
		cache: c, client: client,
		Handler: &httputil.ReverseProxy{
			Transport: client, // as a RoundTripper, a client makes single exchanges: redirects go to the caller
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				maps.DeleteFunc(r.Out.Header, func(name string, _ []string) bool { return saysWhichURL(name) })
				r.SetXForwarded()
				r.Out.Header.Del("X-Forwarded-Host") // what the client has in Host
			},
			ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
				if r.Context().Err() == nil { // otherwise the caller is gone, or its time is up
					log.Print(err) // without secrets: the client has hidden those of the URL
				}
				w.WriteHeader(http.StatusBadGateway)
			},
		},
	}, nil
}

// saysWhichURL reports whether servers take a field for the host or the path that is asked for. Such fields are not part of the cache's key:
// if a client might send one, all would get what the server has made of it.
func saysWhichURL(name string) bool {
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-") || name == "X-Host" || name == "X-Rewrite-Url"
}

func (p *proxy) Close() error { return errors.Join(p.client.Close(), p.cache.Close()) }

// grace is how long requests that are under way may take when the proxy ends.
const grace = 10 * time.Second

// serve runs the proxy until ctx is done, and lets requests end that are under way then.
func serve(ctx context.Context, out io.Writer, listen, upstream string) error {
	p, err := newProxy(upstream)
	if err != nil {
		return err
	}
	defer p.Close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintf(out, "http://%s serves %s; Ctrl-C ends it\n", listener.Addr(), upstream)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return errors.Join(fmt.Errorf("requests were still under way after %v: %w", grace, err), server.Close())
	}
	return nil
}
