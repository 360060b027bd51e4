package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// startOrigin starts a server whose resources have something to show each.
func startOrigin() (base string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: origin(), ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	return "http://" + listener.Addr().String(), func() { server.Close() }, nil
}

func origin() http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern, body string, header ...string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			fmt.Fprint(w, body)
		})
	}
	answer("GET /users/7", `{"id":7,"name":"Ada","token":"secret"}`, "Content-Type", "application/json", "Cache-Control", "max-age=5", "Surrogate-Key", "users user-7")
	answer("POST /users", `{"id":8}`, "Content-Type", "application/json")
	answer("GET /private", "for you alone", "Cache-Control", "no-store")
	answer("GET /report", "many numbers", "Cache-Control", "max-age=60", "Vary", "Accept-Language")
	mux.HandleFunc("GET /news", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "all quiet")
	})
	var turns atomic.Int64
	mux.HandleFunc("GET /flaky", func(w http.ResponseWriter, _ *http.Request) {
		if turns.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "at the second attempt")
	})
	mux.HandleFunc("GET /old", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/users/7", http.StatusFound) })
	mux.HandleFunc("GET /feed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for i := range 5 {
			fmt.Fprintf(w, "line %d\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	})
	mux.HandleFunc("GET /down", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	return mux
}

func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	return u.RequestURI()
}
