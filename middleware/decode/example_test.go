package decode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/andybalholm/brotli"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
)

// brotliServer serves a text, in br to those who ask for it.
func brotliServer(text string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Cache-Control", "max-age=60")
		if !strings.HasPrefix(r.Header.Get("Accept-Encoding"), "br") {
			io.WriteString(w, text)
			return
		}
		w.Header().Set("Content-Encoding", "br")
		enc := brotli.NewWriter(w)
		io.WriteString(enc, text)
		enc.Close()
	}))
}

func Example() {
	server := brotliServer(strings.Repeat("All work and no play. ", 10000))
	defer server.Close()

	c, err := cache.New(cache.Options{})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	client, err := ply.New(ply.Options{
		BaseURL: server.URL,
		Use:     []ply.Middleware{decode.New(decode.Options{}), c.Middleware},
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	text, err := ply.Text(client.Get(context.Background(), "/"))
	if err != nil {
		panic(err)
	}
	fmt.Println(len(text), "bytes read")
	fmt.Println("stored in less than a tenth of that:", c.Stats().Bytes < int64(len(text)/10))
	// Output:
	// 220000 bytes read
	// stored in less than a tenth of that: true
}

func ExampleNew() {
	server := brotliServer("hello")
	defer server.Close()

	client := &http.Client{Transport: decode.New(decode.Options{})(server.Client().Transport)}
	resp, err := client.Get(server.URL)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s, uncompressed: %t, length: %d\n", body, resp.Uncompressed, resp.ContentLength)
	// Output: hello, uncompressed: true, length: -1
}

func ExampleContentError() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "this is no gzip at all")
	}))
	defer server.Close()

	client := &http.Client{Transport: decode.New(decode.Options{})(server.Client().Transport)}
	_, err := ply.Bytes(client.Get(server.URL))
	var bad *decode.ContentError
	if errors.As(err, &bad) {
		fmt.Println("the server lies about", bad.Coding)
	}
	// Output: the server lies about gzip
}

func ExampleWithMaxBytes() {
	server := brotliServer(strings.Repeat("0", 1<<20))
	defer server.Close()

	client := &http.Client{Transport: decode.New(decode.Options{})(server.Client().Transport)}
	ctx := decode.WithMaxBytes(context.Background(), 64<<10)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		panic(err)
	}
	var got bytes.Buffer
	_, err = ply.CopyTo(&got)(client.Do(req))
	var over *decode.LimitError
	if errors.As(err, &over) {
		fmt.Printf("no more than %d bytes, of which %d were read\n", over.MaxBytes, got.Len())
	}
	// Output: no more than 65536 bytes, of which 65536 were read
}
