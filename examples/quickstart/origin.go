package main

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// counter counts the requests that pass it on their way to the origin.
type counter struct{ n atomic.Int64 }

func (c *counter) layer(next ply.Handler) ply.Handler {
	return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		c.n.Add(1)
		return next.RoundTrip(req)
	})
}

// tour shows each thing that the cache does, and a retry.
func tour(base string) []step {
	return []step{
		{label: "GET /article", url: base + "/article"},
		{label: "  again: it is fresh for a minute", url: base + "/article"},
		{label: "GET /profile", url: base + "/profile"},
		{label: "  again: it must be validated", url: base + "/profile"},
		{label: "GET /article with the cache off", url: base + "/article", scope: cache.Disable},
		{label: "GET /article reloaded", url: base + "/article", scope: reload},
		{label: "GET /moody, which fails at first", url: base + "/moody"},
		{label: "GET /article once more", url: base + "/article"},
	}
}

// startOrigin serves the pages of the tour on a port of this machine until stop is called.
func startOrigin() (base string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /article", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintln(w, "All HTTP is caching.")
	})
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintln(w, "Ada, since 1815")
	})
	var moody atomic.Int64
	mux.HandleFunc("GET /moody", func(w http.ResponseWriter, _ *http.Request) {
		if moody.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "better now")
	})
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	return "http://" + listener.Addr().String(), func() { server.Close() }, nil
}
