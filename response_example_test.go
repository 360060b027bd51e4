package ply_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/plyhttp/ply"
)

// library makes a client of an API that is served from memory.
func library() *ply.Client {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /books/7", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"title": "Emma", "year": 1815}`)
	})
	mux.HandleFunc("GET /books/7.xml", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `<book><title>Emma</title><year>1815</year></book>`)
	})
	mux.HandleFunc("GET /books/7.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=iso-8859-1")
		io.WriteString(w, "Emma, 1815, \xa320")
	})
	mux.HandleFunc("DELETE /books/7", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	mux.Handle("GET /emma", http.RedirectHandler("/books/emma", http.StatusMovedPermanently))
	mux.Handle("GET /books/emma", http.RedirectHandler("/books/7.txt", http.StatusFound))
	mux.HandleFunc("GET /busy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		http.Error(w, "taking stock", http.StatusServiceUnavailable)
	})

	mux.HandleFunc("GET /books/9", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"title": "lent out", "until": "May"}`)
	})

	mux.HandleFunc("GET /books/9.xml", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `<problem><title>lent out</title></problem>`)
	})

	client, err := ply.New(ply.Options{
		BaseURL: "https://library.example.com",
		Transport: ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			resp := w.Result()
			resp.Request = req
			return resp, nil
		}),
	})
	if err != nil {
		panic(err)
	}
	return client
}

type book struct {
	Title string `json:"title" xml:"title"`
	Year  int    `json:"year" xml:"year"`
}

func ExampleJSON() {
	client := library()
	b, err := ply.JSON[book](client.Get(context.Background(), "/books/7"))
	fmt.Println(b.Title, b.Year, err)

	_, err = ply.JSON[book](client.Get(context.Background(), "/books/8?key=secret"))
	fmt.Println(err)

	_, err = ply.JSON[book](client.Get(context.Background(), "/books/7.xml"))
	fmt.Println(err)

	_, err = ply.JSON[book](client.Delete(context.Background(), "/books/7"))
	fmt.Println(errors.Is(err, ply.ErrEmptyBody))
	// Output:
	// Emma 1815 <nil>
	// GET https://library.example.com/books/8?key=REDACTED: 404 Not Found
	// ply: cannot decode GET https://library.example.com/books/7.xml (text/plain) into ply_test.book: invalid JSON at byte 1
	// true
}

// The functions that take a response take that of any client.
func ExampleJSON_otherClients() {
	server := hello()
	defer server.Close()
	type user struct{ Name string }
	u, err := ply.JSON[user](http.Get(server.URL))
	fmt.Println(u.Name, err)
	// Output: Ada <nil>
}

func ExampleDecode() {
	client := library()
	b, err := ply.Decode[book](xml.Unmarshal)(client.Get(context.Background(), "/books/7.xml"))
	fmt.Println(b.Title, b.Year, err)
	// Output: Emma 1815 <nil>
}

func ExampleBytes() {
	client := library()
	b, err := ply.Bytes(client.Get(context.Background(), "/books/7.txt"))
	fmt.Printf("%x %v\n", b[len(b)-3:], err)
	// Output: a33230 <nil>
}

func ExampleText() {
	client := library()
	text, err := ply.Text(client.Get(context.Background(), "/books/7.txt"))
	fmt.Println(text, err)
	// Output: Emma, 1815, £20 <nil>
}

func ExampleDiscard() {
	client := library()
	err := ply.Discard(client.Delete(context.Background(), "/books/7"))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleCopyTo() {
	client := library()
	n, err := ply.CopyTo(os.Stdout)(client.Get(context.Background(), "/books/7.xml"))
	fmt.Println()
	fmt.Println(n, err)
	// Output:
	// <book><title>Emma</title><year>1815</year></book>
	// 49 <nil>
}

func ExampleSave() {
	dir, err := os.MkdirTemp("", "books")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	client := library()
	n, err := ply.Save(filepath.Join(dir, "7.json"))(client.Get(context.Background(), "/books/7"))
	fmt.Println(n, err)

	_, err = ply.Save(filepath.Join(dir, "8.json"))(client.Get(context.Background(), "/books/8"))
	fmt.Println(err)

	files, err := os.ReadDir(dir)
	fmt.Println(files, err)
	// Output:
	// 31 <nil>
	// GET https://library.example.com/books/8: 404 Not Found
	// [- 7.json] <nil>
}

func ExampleWithBodyLimit() {
	client := library()
	ctx := ply.WithBodyLimit(context.Background(), 30)
	_, err := ply.Bytes(client.Get(ctx, "/books/7"))
	fmt.Println(err)
	var over *ply.BodyLimitError
	fmt.Println(errors.As(err, &over))
	// Output:
	// ply: reading the body of GET https://library.example.com/books/7: body exceeds the limit of 30 bytes: raise it with ply.WithBodyLimit or ply.MaxResponseBody, or read resp.Body as a stream
	// true
}

func ExampleHistory() {
	client := library()
	resp, err := client.Get(context.Background(), "/emma")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for _, hop := range ply.History(resp) {
		fmt.Println(hop.StatusCode, hop.Request.URL.Path)
	}
	fmt.Println(resp.StatusCode, resp.Request.URL.Path)
	// Output:
	// 301 /emma
	// 302 /books/emma
	// 200 /books/7.txt
}

func ExampleErrorForStatus() {
	client := library()
	_, err := ply.ErrorForStatus(client.Get(context.Background(), "/busy"))
	var failed *ply.StatusError
	if errors.As(err, &failed) {
		fmt.Println(failed)
		fmt.Printf("%s", failed.Excerpt)
	}
	// Output:
	// GET https://library.example.com/busy: 503 Service Unavailable
	// taking stock
}

// An API says in a document of its own what is wrong (RFC 9457).
func ExampleStatusError_JSON() {
	client := library()
	_, err := ply.JSON[book](client.Get(context.Background(), "/books/9"))
	var failed *ply.StatusError
	if errors.As(err, &failed) {
		var problem struct{ Title, Until string }
		if failed.JSON(&problem) == nil {
			fmt.Println(failed.StatusCode, problem.Title, "until", problem.Until)
		}
	}
	// Output: 403 lent out until May
}

// The same for a document that is not JSON: any function of the shape of xml.Unmarshal decodes it.
func ExampleStatusError_Decode() {
	client := library()
	_, err := ply.Text(client.Get(context.Background(), "/books/9.xml"))
	var failed *ply.StatusError
	if errors.As(err, &failed) {
		var problem struct {
			Title string `xml:"title"`
		}
		if failed.Decode(xml.Unmarshal, &problem) == nil {
			fmt.Println(failed.StatusCode, problem.Title)
		}
	}
	// Output: 403 lent out
}

func ExampleAnyStatus() {
	client := library()
	page, err := ply.Text(ply.AnyStatus(client.Get(context.Background(), "/busy")))
	fmt.Print(page, err)
	// Output:
	// taking stock
	// <nil>
}

func ExampleStatusIs() {
	client := library()
	_, err := ply.JSON[book](client.Get(context.Background(), "/books/8"))
	if ply.StatusIs(err, http.StatusNotFound, http.StatusGone) {
		fmt.Println("no such book")
	}
	// Output: no such book
}

func ExampleStatusError_RetryAfter() {
	client := library()
	_, err := ply.JSON[book](client.Get(context.Background(), "/busy"))
	var failed *ply.StatusError
	if errors.As(err, &failed) {
		wait, ok := failed.RetryAfter()
		fmt.Println(wait == 2*time.Minute, ok)
	}
	// Output: true true
}
