package main

import (
	"fmt"
	"net/http"
)

// tour has a page for each rule.
var tour = []string{"/article", "/forever", "/moment", "/silent", "/rates", "/logo", "/missing", "/preview"}

func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch r.URL.Path {
	case "/article":
		h.Set("Cache-Control", "max-age=600")
	case "/forever":
		h.Set("Cache-Control", "max-age=31536000")
	case "/moment":
		h.Set("Cache-Control", "max-age=1")
	case "/rates":
		h.Set("Cache-Control", "no-store")
	case "/logo":
		h.Set("Content-Type", "image/png")
	case "/missing":
		w.WriteHeader(http.StatusNotFound)
	case "/preview":
		h.Set("X-Preview", "draft 3")
		h.Set("Cache-Control", "max-age=600")
	}
	fmt.Fprintln(w, "All HTTP is caching.")
}
