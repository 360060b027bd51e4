package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/plyhttp/ply/middleware/cache"
)

// tour makes requests through a proxy, as browsers do, and prints what came of them.
func tour(ctx context.Context, out io.Writer) error {
	upstream := httptest.NewServer(http.HandlerFunc(pages))
	defer upstream.Close()
	p, err := newProxy(upstream.URL)
	if err != nil {
		return err
	}
	defer p.Close()
	front := httptest.NewServer(p)
	defer front.Close()
	browser := front.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // to see the redirects
	get := func(path, user string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, front.URL+path, nil)
		if err != nil {
			return err
		}
		name := path
		if user != "" {
			req.SetBasicAuth(user, "s3cret")
			name += " of " + user
		}
		resp, err := browser.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		said := "the proxy itself says so"
		if status, ok := cache.StatusOf(resp); ok { // Cache-Status reaches those who ask: a browser's tools show it
			said = status.Outcome()
		}
		fmt.Fprintf(out, "  %-17s  %d  %s\n", name, resp.StatusCode, said)
		return errors.Join(err, resp.Body.Close())
	}

	fmt.Fprintln(out, "with the server")
	for _, call := range []struct{ path, user string }{
		{"/article", ""},
		{"/article", ""},      // fresh for a minute
		{"/news", ""},         // stale at once
		{"/profile", "ada"},   // Cache-Control: private, and a request with credentials
		{"/profile", "ada"},   // so that a shared cache stores nothing
		{"/published", "ada"}, // Cache-Control: public, although the request has credentials
		{"/published", "bob"}, // so that all may have it
		{"/redirected", ""},   // a redirect goes to the browser
	} {
		if err := get(call.path, call.user); err != nil {
			return err
		}
	}
	upstream.Close()
	fmt.Fprintln(out, "without it")
	for _, path := range []string{"/article", "/news", "/profile"} {
		if err := get(path, ""); err != nil {
			return err
		}
	}
	return nil
}

func pages(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/article":
		w.Header().Set("Cache-Control", "max-age=60")
	case "/news":
		w.Header().Set("Cache-Control", "max-age=0")
	case "/profile":
		w.Header().Set("Cache-Control", "private, max-age=60")
	case "/published":
		w.Header().Set("Cache-Control", "public, max-age=60")
	case "/redirected":
		http.Redirect(w, r, "/article", http.StatusFound)
		return
	}
	fmt.Fprintln(w, "All HTTP is caching.")
}
