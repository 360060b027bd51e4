package bookshop

import (
	"context"
	"iter"
	"net/http"
	"strconv"

	"github.com/plyhttp/ply"
)

// Books are the books of the shop. A Client has them.
type Books struct{ client *Client }

// A Book is one that the shop has.
type Book struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Cents  int    `json:"cents"` // the price
}

// NewBook is what a book to be created consists of.
type NewBook struct {
	Title  string `json:"title"`
	Author string `json:"author"`
	Cents  int    `json:"cents"`
}

// Get returns one book. The error is ErrNotFound if there is none of this ID.
func (b *Books) Get(ctx context.Context, id string) (Book, error) {
	return result[Book](b.client.http.Get(ctx, "/books/{id}", ply.PathValue("id", id))) // escaped: an ID cannot lead elsewhere
}

// Create adds a book and returns it with its ID.
func (b *Books) Create(ctx context.Context, book NewBook) (Book, error) {
	return result[Book](b.client.http.Post(ctx, "/books", ply.BodyJSON(book)))
}

// Delete removes a book. The error is ErrNotFound if there is none of this ID.
func (b *Books) Delete(ctx context.Context, id string) error {
	return problem(ply.Discard(b.client.http.Delete(ctx, "/books/{id}", ply.PathValue("id", id))))
}

// ListOptions choose books. Zero means all.
type ListOptions struct {
	Author   string
	PageSize int // how many books one request gets; zero leaves it to the shop
}

// List ranges over the books, and gets them page by page. An error ends the loop, so one that ends without has seen all books:
//
//	for book, err := range client.Books.List(ctx, bookshop.ListOptions{}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
func (b *Books) List(ctx context.Context, o ListOptions) iter.Seq2[Book, error] {
	return func(yield func(Book, error) bool) {
		var options []ply.RequestOption
		if o.Author != "" {
			options = append(options, ply.Query("author", o.Author))
		}
		if o.PageSize > 0 {
			options = append(options, ply.Query("limit", strconv.Itoa(o.PageSize)))
		}
		for resp, err := range b.client.http.Pages(ctx, "/books", options...) { // follows Link fields (RFC 8288), within this origin
			books, err := result[[]Book](resp, err)
			if err != nil {
				yield(Book{}, err)
				return
			}
			for _, book := range books {
				if !yield(book, nil) {
					return
				}
			}
		}
	}
}

// result decodes an answer, or makes an error of it.
func result[T any](resp *http.Response, err error) (T, error) {
	v, err := ply.JSON[T](resp, err)
	return v, problem(err)
}
