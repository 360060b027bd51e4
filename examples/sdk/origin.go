package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/plyhttp/ply/examples/sdk/bookshop"
)

// A shop is a server of the API, with three books to begin with.
type shop struct {
	http.Handler
	posts, gets atomic.Int64

	mu      sync.Mutex // guards what follows
	books   []bookshop.Book
	created map[string]bookshop.Book // by Idempotency-Key
}

func newShop() *shop {
	s := &shop{created: make(map[string]bookshop.Book), books: []bookshop.Book{
		{ID: "1", Title: "The Art of Computer Programming", Author: "Donald Knuth", Cents: 24999},
		{ID: "2", Title: "A Discipline of Programming", Author: "Edsger Dijkstra", Cents: 6999},
		{ID: "3", Title: "The Go Programming Language", Author: "Alan Donovan and Brian Kernighan", Cents: 3999},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/books", s.list)
	mux.HandleFunc("POST /v1/books", s.create)
	mux.HandleFunc("GET /v1/books/{id}", s.get)
	mux.HandleFunc("DELETE /v1/books/{id}", s.remove)
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "req-7")
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			fail(w, http.StatusUnauthorized, "bad_token")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
	return s
}

// list sends a page, and the link to the next one.
func (s *shop) list(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || size < 1 {
		size = 100
	}
	after, _ := strconv.Atoi(r.FormValue("after")) // 0: from the start
	end := min(after+size, len(s.books))
	if end < len(s.books) {
		w.Header().Set("Link", fmt.Sprintf(`</v1/books?limit=%d&after=%d>; rel="next"`, size, end))
	}
	json.NewEncoder(w).Encode(s.books[min(after, end):end])
}

// create fails for the first time, when it has created the book already.
func (s *shop) create(w http.ResponseWriter, r *http.Request) {
	first := s.posts.Add(1) == 1
	key := r.Header.Get("Idempotency-Key")
	book, again := s.created[key]
	if !again {
		if err := json.NewDecoder(r.Body).Decode(&book); err != nil {
			fail(w, http.StatusBadRequest, "bad_json")
			return
		}
		book.ID = strconv.Itoa(len(s.books) + 1)
		s.books, s.created[key] = append(s.books, book), book
	}
	if first {
		fail(w, http.StatusBadGateway, "try_again")
		return
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(book)
}

func (s *shop) get(w http.ResponseWriter, r *http.Request) {
	s.gets.Add(1)
	for _, b := range s.books {
		if b.ID == r.PathValue("id") {
			w.Header().Set("Cache-Control", "private, max-age=60")
			json.NewEncoder(w).Encode(b)
			return
		}
	}
	fail(w, http.StatusNotFound, "book_not_found")
}

func (s *shop) remove(w http.ResponseWriter, r *http.Request) {
	for i, b := range s.books {
		if b.ID == r.PathValue("id") {
			s.books = append(s.books[:i], s.books[i+1:]...)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	fail(w, http.StatusNotFound, "book_not_found")
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"code": code, "message": http.StatusText(status)})
}
