// Sdk uses package bookshop, the client of an API in the style of real SDKs: typed results and errors, iterators, credentials, retries, a cache.
// How it is made is in examples/sdk/bookshop, whose tests replay a tape.
//
//	go run ./examples/sdk
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/signal"

	"github.com/plyhttp/ply/examples/sdk/bookshop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sdk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	shop := newShop()
	server := httptest.NewServer(shop)
	defer server.Close()
	client, err := bookshop.New(bookshop.Options{Token: "s3cret", BaseURL: server.URL + "/v1"})
	if err != nil {
		return err
	}
	defer client.Close()

	fmt.Fprintln(out, "all books, in pages of two:")
	for book, err := range client.Books.List(ctx, bookshop.ListOptions{PageSize: 2}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s: %s, %s\n", book.ID, book.Title, book.Author)
	}

	// The shop fails when it has the order: the POST is sent again with the key of the first one, and does not create a second book.
	created, err := client.Books.Create(ctx, bookshop.NewBook{Title: "Notes", Author: "Ada Lovelace", Cents: 1843})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "created %s, which took %d requests\n", created.ID, shop.posts.Load())

	for range 3 {
		if _, err := client.Books.Get(ctx, created.ID); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "three Gets took %d request: the shop lets its answer be cached\n", shop.gets.Load())

	if err := client.Books.Delete(ctx, created.ID); err != nil { // invalidates what is cached of the book (RFC 9111 §4.4)
		return err
	}
	_, err = client.Books.Get(ctx, created.ID)
	if !errors.Is(err, bookshop.ErrNotFound) {
		return fmt.Errorf("a deleted book: %w", err)
	}
	var failed *bookshop.Error
	if !errors.As(err, &failed) {
		return err
	}
	_, err = fmt.Fprintf(out, "after Delete: %d, code %q, request %s\n", failed.StatusCode, failed.Code, failed.RequestID)
	return err
}
