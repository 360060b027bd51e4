package main

import (
	"bytes"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// A site has a few pages, and a report whose first transfer breaks off.
type site struct {
	http.Handler
	requests, reports atomic.Int64
}

var report = bytes.Repeat([]byte("All HTTP is caching. "), 5000)

func newSite() *site {
	s := &site{}
	page := func(text, cacheControl string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", cacheControl)
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "page.html", time.Time{}, bytes.NewReader([]byte(text)))
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=86400")
		fmt.Fprint(w, "User-agent: *\nCrawl-delay: 0.02\nDisallow: /private\n")
	})
	mux.HandleFunc("GET /{$}", page(`<a href="/about">about</a> <a href="news.html#today">news</a> <a href="/private/plans">plans</a> <a href="https://elsewhere.example/">elsewhere</a>`, "max-age=0"))
	mux.HandleFunc("GET /about", page(`<a href="/">home</a> <a href="/report.pdf">report</a>`, "max-age=3600"))
	mux.HandleFunc("GET /news.html", page(`<a href="/moved">more</a> <a href="/gone">old news</a>`, "no-cache"))
	mux.Handle("GET /moved", http.RedirectHandler("/private/more", http.StatusFound))
	mux.HandleFunc("GET /report.pdf", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"final"`)
		if s.reports.Add(1) == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(report)))
			w.Write(report[:len(report)/2])
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "report.pdf", time.Time{}, bytes.NewReader(report))
	})
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		mux.ServeHTTP(w, r)
	})
	return s
}
