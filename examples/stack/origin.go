package main

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/middleware/auth"
)

// tour is what is asked for, in this order.
var tour = []string{
	"/news",    // stored, and stale at once
	"/article", // 503 at first, then an answer that does not come; a copy has it, compressed
	"/article", // stored
	"/crash",   // from here on the server breaks every connection, until the breaker opens
	"/news",    // not to be had: what is stored is served, although it is stale
}

// newToken stands for a call of a token server.
func newToken(context.Context) (auth.Token, error) {
	return auth.Token{Value: "secret-token", Expires: time.Now().Add(time.Hour), Principal: "ada"}, nil
}

// startOrigin starts a server in trouble on a port of this machine.
func startOrigin() *httptest.Server {
	var crashed atomic.Bool
	var articles atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /news", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=600")
		io.WriteString(w, "Nothing new.\n")
	})
	mux.HandleFunc("GET /article", func(w http.ResponseWriter, r *http.Request) {
		switch articles.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 2:
			<-r.Context().Done()
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Encoding")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			io.WriteString(w, article)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, article)
		z.Close()
	})
	mux.HandleFunc("GET /crash", func(http.ResponseWriter, *http.Request) {
		crashed.Store(true)
		panic(http.ErrAbortHandler)
	})
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if crashed.Load() {
			panic(http.ErrAbortHandler)
		}
		if r.Header.Get("Authorization") != "Bearer secret-token" {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

var article = strings.Repeat("All HTTP is caching. ", 500)
