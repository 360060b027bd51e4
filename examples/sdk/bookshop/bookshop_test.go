package bookshop_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/examples/sdk/bookshop"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/plytest/tape"
)

// newClient returns a client over the tape of a test: testdata/NAME.tape. It is recorded if it is not there, or with PLY_TAPE=record, and replayed without a server.
// An SDK records with the real API and a token from the environment. This one has api in its place.
func newClient(t *testing.T, name string) *bookshop.Client {
	t.Helper()
	recorded := tape.Open(t, "testdata/"+name+".tape", tape.Options{})
	client, err := bookshop.New(bookshop.Options{
		Token:     "s3cret-of-the-test",
		Transport: recorded.Middleware(plytest.NewHandlerOrigin(api())), // below retries: the tape has each attempt
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// api is busy for the first request, and has three books of which it gives two at a time.
func api() http.Handler {
	var busy atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/books", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case busy.Add(1) == 1:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.FormValue("page") == "2":
			fmt.Fprint(w, `[{"id": "3", "title": "C"}]`)
		default:
			w.Header().Set("Link", `</v1/books?page=2>; rel="next"`)
			fmt.Fprint(w, `[{"id": "1", "title": "A"}, {"id": "2", "title": "B"}]`)
		}
	})
	mux.HandleFunc("GET /v1/books/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req-7")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code": "book_not_found", "message": "There is no such book."}`)
	})
	return mux
}

// In a bubble of synctest the seven seconds that the tape waits take no time.
func TestListGoesThroughAllPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, "list")
		var titles []string
		for book, err := range client.Books.List(t.Context(), bookshop.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			titles = append(titles, book.Title)
		}
		if d := cmp.Diff([]string{"A", "B", "C"}, titles); d != "" {
			t.Error(d)
		}
	})
}

func TestGetOfABookThatIsNotThere(t *testing.T) {
	client := newClient(t, "not-found")
	_, err := client.Books.Get(t.Context(), "42")
	if !errors.Is(err, bookshop.ErrNotFound) || errors.Is(err, bookshop.ErrRateLimited) {
		t.Fatalf("got %v", err)
	}
	var failed *bookshop.Error
	if !errors.As(err, &failed) {
		t.Fatalf("%T is no *bookshop.Error", err)
	}
	want := "bookshop: GET https://api.bookshop.example/v1/books/42: 404 book_not_found: There is no such book. (request req-7)"
	if d := cmp.Diff(want, failed.Error()); d != "" {
		t.Error(d)
	}
}

func TestIDStaysBelowItsPath(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Status(http.StatusNotFound))
	client, err := bookshop.New(bookshop.Options{Token: "s3cret", Transport: origin})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Books.Get(t.Context(), "../admin?x"); !errors.Is(err, bookshop.ErrNotFound) {
		t.Fatal(err)
	}
	if got := origin.Exchanges()[0].URL.EscapedPath(); got != "/v1/books/..%2Fadmin%3Fx" {
		t.Error(got)
	}
}

func TestNewWithoutAToken(t *testing.T) {
	if _, err := bookshop.New(bookshop.Options{}); err == nil {
		t.Error("a client without a token was made")
	}
}

func TestTapesHaveNoSecret(t *testing.T) {
	for _, name := range []string{"list", "not-found"} {
		text, err := os.ReadFile("testdata/" + name + ".tape")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "s3cret") {
			t.Errorf("%s.tape has the token", name)
		}
	}
}
