package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plyhttp/ply"
)

func hello() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"name": "Ada", "path": %q}`, r.URL.Path)
	}))
}

func ExampleNew() {
	server := hello()
	defer server.Close()

	client, err := ply.New(ply.Options{
		BaseURL:  server.URL + "/v1",
		Header:   http.Header{"Accept": {"application/json"}},
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		Use:      []ply.Middleware{tell("layer")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	type user struct{ Name, Path string }
	u, err := ply.JSON[user](client.Get(context.Background(), "/users/7"))
	fmt.Println(u.Name, u.Path, err)
	// Output:
	// layer before
	// layer after
	// Ada /v1/users/7 <nil>
}

func ExampleClient_With() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "role %q", r.Header.Get("X-Role"))
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	admin, err := client.With(func(o *ply.Options) { o.Header.Set("X-Role", "admin") })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ply.Text(client.Get(context.Background(), "/")))
	fmt.Println(ply.Text(admin.Get(context.Background(), "/")))
	// Output:
	// role "" <nil>
	// role "admin" <nil>
}

func ExampleClient_HTTPClient() {
	server := hello()
	defer server.Close()
	client, err := ply.New(ply.Options{Use: []ply.Middleware{tell("layer")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	// sdk stands for a library that wants an *http.Client.
	sdk := func(hc *http.Client) (*http.Response, error) { return hc.Get(server.URL) }
	resp, err := sdk(client.HTTPClient())
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// layer before
	// layer after
}

// A redirect to a storage host takes along what is known to be harmless, and the fields that the client names.
func ExampleOptions_crossOrigin() {
	storage := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Printf("%q %q %q\n", r.Header.Get("Accept"), r.Header.Get("X-Request-Class"), r.Header.Get("X-Api-Key"))
	}))
	defer storage.Close()
	api := httptest.NewServer(http.RedirectHandler(storage.URL, http.StatusFound))
	defer api.Close()
	client, err := ply.New(ply.Options{
		BaseURL:     api.URL,
		Header:      http.Header{"Accept": {"text/csv"}, "X-Request-Class": {"batch"}, "X-Api-Key": {"hunter2"}},
		CrossOrigin: []string{"X-Request-Class"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := ply.Discard(client.Get(context.Background(), "/report")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// "text/csv" "batch" ""
}

func ExampleClient_Pages() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("page") {
		case "":
			w.Header().Set("Link", `</users?page=2>; rel="next"`)
			io.WriteString(w, `["ada", "grace"]`)
		case "2":
			io.WriteString(w, `["linus"]`)
		}
	}))
	defer server.Close()

	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	for resp, err := range client.Pages(context.Background(), "/users", ply.MaxPages(100)) {
		users, err := ply.JSON[[]string](resp, err)
		if err != nil {
			fmt.Println(err) // not all users have been seen
			return
		}
		fmt.Println(users)
	}
	// Output:
	// [ada grace]
	// [linus]
}

func ExampleMaxResponseBody() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("0", 1<<20))
	}))
	defer server.Close()

	client, err := ply.New(ply.Options{BaseURL: server.URL, Defaults: []ply.RequestOption{ply.MaxResponseBody(64 << 10)}})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	_, err = ply.Save(filepath.Join(os.TempDir(), "zeros"))(client.Get(context.Background(), "/zeros"))
	var over *ply.BodyLimitError
	if errors.As(err, &over) {
		fmt.Println("more than", over.Limit, "bytes, and no file")
	}
	// Output: more than 65536 bytes, and no file
}
