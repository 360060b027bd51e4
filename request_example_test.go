package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/plyhttp/ply"
)

// shown is a client whose transport prints the request line and the named fields of what it is sent.
// /old redirects to /new, and /missing is a 404.
func shown(fields ...string) *ply.Client {
	client, err := ply.New(ply.Options{Transport: ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		fmt.Println(req.Method, req.URL)
		for _, name := range fields {
			if value := req.Header.Get(name); value != "" {
				fmt.Printf("%s: %s\n", name, value)
			}
		}
		switch req.URL.Path {
		case "/old":
			return reply(req, http.StatusFound, http.Header{"Location": {"/new"}}, ""), nil
		case "/missing":
			return reply(req, http.StatusNotFound, nil, "no such page"), nil
		}
		return reply(req, http.StatusOK, nil, "hello"), nil
	})})
	if err != nil {
		panic(err)
	}
	return client
}

// done ends a call whose response does not matter.
func done(resp *http.Response, err error) {
	if err := ply.Discard(resp, err); err != nil {
		fmt.Println(err)
	}
}

func ExampleQuery() {
	done(shown().Get(context.Background(), "http://a.test/search?lang=en", ply.Query("q", "layers & chains"), ply.Query("tag", "go", "http")))
	// Output: GET http://a.test/search?lang=en&q=layers+%26+chains&tag=go&tag=http
}

func ExamplePathValue() {
	done(shown().Get(context.Background(), "http://a.test/files/{name}", ply.PathValue("name", "a/b c")))
	// Output: GET http://a.test/files/a%2Fb%20c
}

func ExampleEdit() {
	done(shown("X-Length").Post(context.Background(), "http://a.test/", ply.BodyString("four"), ply.Edit(func(req *http.Request) error {
		req.Header.Set("X-Length", fmt.Sprint(req.ContentLength))
		return nil
	})))
	// Output:
	// POST http://a.test/
	// X-Length: 4
}

func ExampleQueryValues() {
	done(shown().Get(context.Background(), "http://a.test/search", ply.QueryValues(url.Values{"tag": {"go"}, "q": {"layers"}})))
	// Output: GET http://a.test/search?q=layers&tag=go
}

func ExampleRawQuery() {
	done(shown().Get(context.Background(), "http://a.test/search", ply.RawQuery("q=a%20b;c")))
	// Output: GET http://a.test/search?q=a%20b;c
}

func ExampleSetHeader() {
	done(shown("Accept").Get(context.Background(), "http://a.test/", ply.SetHeader("Accept", "application/json")))
	// Output:
	// GET http://a.test/
	// Accept: application/json
}

func ExampleOmitHeader() {
	client, err := shown("Accept-Language").With(func(o *ply.Options) { o.Header.Set("Accept-Language", "en") })
	if err != nil {
		fmt.Println(err)
		return
	}
	done(client.Get(context.Background(), "http://a.test/1"))
	done(client.Get(context.Background(), "http://a.test/2", ply.OmitHeader("Accept-Language")))
	// Output:
	// GET http://a.test/1
	// Accept-Language: en
	// GET http://a.test/2
}

func ExampleBasicAuth() {
	done(shown("Authorization").Get(context.Background(), "http://a.test/", ply.BasicAuth("Aladdin", "open sesame")))
	// Output:
	// GET http://a.test/
	// Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==
}

func ExampleBearer() {
	done(shown("Authorization").Get(context.Background(), "http://a.test/", ply.Bearer("mF_9.B5f-4.1JqM")))
	// Output:
	// GET http://a.test/
	// Authorization: Bearer mF_9.B5f-4.1JqM
}

func ExampleCookies() {
	done(shown("Cookie").Get(context.Background(), "http://a.test/", ply.Cookies(&http.Cookie{Name: "theme", Value: "dark"})))
	// Output:
	// GET http://a.test/
	// Cookie: theme=dark
}

func ExampleCombine() {
	asAdmin := ply.Combine(ply.SetHeader("X-Role", "admin"), ply.Query("all", "1"))
	done(shown("X-Role").Get(context.Background(), "http://a.test/users", asAdmin))
	// Output:
	// GET http://a.test/users?all=1
	// X-Role: admin
}

func ExampleMaxRedirects() {
	client := shown()
	done(client.Get(context.Background(), "http://a.test/old", ply.MaxRedirects(1)))
	// Output:
	// GET http://a.test/old
	// GET http://a.test/new
}

func ExampleNoRedirects() {
	resp, err := shown().Get(context.Background(), "http://a.test/old", ply.NoRedirects())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("Location"))
	// Output:
	// GET http://a.test/old
	// 302 /new
}

func ExampleCheckStatus() {
	teapot := errors.New("a teapot")
	_, err := shown().Get(context.Background(), "http://a.test/", ply.CheckStatus(func(resp *http.Response) error {
		if resp.Header.Get("Content-Type") == "" {
			return teapot
		}
		return nil
	}))
	fmt.Println(err)
	// Output:
	// GET http://a.test/
	// a teapot
}

func ExampleBelow400() {
	client, err := shown().With(func(o *ply.Options) { o.Defaults = []ply.RequestOption{ply.CheckStatus(ply.Below400)} })
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Get(context.Background(), "http://a.test/missing")
	fmt.Println(err)
	// Output:
	// GET http://a.test/missing
	// GET http://a.test/missing: 404 Not Found
}

func ExampleDownloadProgress() {
	progress := ply.DownloadProgress(func(received, total int64) { fmt.Println(received, "of", total) })
	resp, err := shown().Get(context.Background(), "http://a.test/", progress)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	io.ReadFull(resp.Body, make([]byte, 2))
	io.ReadFull(resp.Body, make([]byte, 3))
	// Output:
	// GET http://a.test/
	// 2 of 5
	// 5 of 5
}
