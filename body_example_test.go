package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/plyhttp/ply"
)

// customs is a client whose server prints what it is sent.
func customs() (*ply.Client, *httptest.Server) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
			declareParts(r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
			fmt.Println("encoding:", encoding)
			plain, err := inflated(encoding, strings.NewReader(string(body)))
			fmt.Printf("body: %q %v\n", plain, err)
			return
		}
		fmt.Printf("type: %q, length: %d, body: %q\n", r.Header.Get("Content-Type"), r.ContentLength, body)
	}))
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		panic(err)
	}
	return client, server
}

func declareParts(r *http.Request) {
	parts, err := r.MultipartReader()
	if err != nil {
		return
	}
	for {
		p, err := parts.NextPart()
		if err != nil {
			return
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return
		}
		fmt.Printf("part %q, file %q, type %q: %q\n", p.FormName(), p.FileName(), p.Header.Get("Content-Type"), content)
	}
}

// declare posts a request with the options.
func declare(opts ...ply.RequestOption) {
	client, server := customs()
	defer server.Close()
	defer client.Close()
	if err := ply.Discard(client.Post(context.Background(), "/", opts...)); err != nil {
		fmt.Println(err)
	}
}

// written is a file with the text, and what removes it.
func written(name, text string) (path string, remove func()) {
	dir, err := os.MkdirTemp("", "ply")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

func ExampleBodyBytes() {
	declare(ply.BodyBytes([]byte{1, 2, 3}), ply.SetHeader("Content-Type", "application/x-counting"))
	// Output: type: "application/x-counting", length: 3, body: "\x01\x02\x03"
}

func ExampleBodyString() {
	declare(ply.BodyString("hello"))
	// Output: type: "text/plain; charset=utf-8", length: 5, body: "hello"
}

func ExampleBodyJSON() {
	declare(ply.BodyJSON(map[string]any{"name": "Ada", "age": 36}))
	// Output: type: "application/json", length: 23, body: "{\"age\":36,\"name\":\"Ada\"}"
}

// Two bodies are refused before anything is sent.
func ExampleBodyJSON_combined() {
	_, err := (&ply.Client{}).NewRequest(context.Background(), "POST", "/users",
		ply.BodyForm(url.Values{"name": {"Ada"}}),
		ply.BodyJSON(map[string]string{"name": "Ada"}))

	var option *ply.OptionError
	fmt.Println(errors.As(err, &option), err)
	// Output: true ply: BodyJSON: combined with BodyForm: a request has one body
}

func ExampleBodyForm() {
	declare(ply.BodyForm(url.Values{"name": {"Ada Lovelace"}, "tag": {"b", "a"}}))
	// Output: type: "application/x-www-form-urlencoded", length: 29, body: "name=Ada+Lovelace&tag=b&tag=a"
}

// A reader of a kind that cannot be read again is sent as it is read, its length unknown.
func ExampleBodyReader() {
	r, w := io.Pipe()
	go func() {
		fmt.Fprint(w, "line by line")
		w.Close()
	}()
	declare(ply.BodyReader(r), ply.SetHeader("Content-Type", "text/plain"))
	// Output: type: "text/plain", length: -1, body: "line by line"
}

func ExampleBodyFile() {
	path, remove := written("user.json", `{"name":"Ada"}`)
	defer remove()

	declare(ply.BodyFile(path))
	declare(ply.BodyFile("/nowhere/user.json"))
	// Output:
	// type: "application/json", length: 14, body: "{\"name\":\"Ada\"}"
	// ply: BodyFile: the file cannot be sent: stat /nowhere/user.json: no such file or directory
}

func ExampleChunked() {
	declare(ply.BodyBytes([]byte("hello")), ply.Chunked())
	// Output: type: "", length: -1, body: "hello"
}

// A server that refuses is spared the upload.
func ExampleExpectContinue() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("asked with", r.Header.Get("Expect"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	resp, err := client.Put(context.Background(), server.URL+"/film",
		ply.BodyReader(strings.NewReader("a very long film")),
		ply.ExpectContinue())
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// asked with 100-continue
	// 403 Forbidden
}

func ExampleUploadProgress() {
	declare(
		ply.BodyBytes([]byte("hello")),
		ply.UploadProgress(func(sent, total int64) { fmt.Printf("%d of %d bytes\n", sent, total) }))
	// Output:
	// 5 of 5 bytes
	// type: "", length: 5, body: "hello"
}

func ExampleCompressBody() {
	declare(ply.BodyString("hello hello hello"), ply.CompressBody("gzip"))
	// Output:
	// encoding: gzip
	// body: "hello hello hello" <nil>
}

func ExampleBodyMultipart() {
	photo, remove := written("ada.png", "PNG")
	defer remove()

	declare(ply.BodyMultipart(
		ply.PartField("name", "Ada"),
		ply.PartFile("photo", photo)))
	// Output:
	// part "name", file "", type "": "Ada"
	// part "photo", file "ada.png", type "image/png": "PNG"
}

// The fields of a part can be changed.
func ExamplePart() {
	meta := ply.PartBytes("meta", "", []byte(`{"public":true}`))
	meta.ContentType = "application/json"
	declare(ply.BodyMultipart(meta))
	// Output: part "meta", file "", type "application/json": "{\"public\":true}"
}

// A name cannot break out of its quotes.
func ExamplePartField() {
	declare(ply.BodyMultipart(ply.PartField("a \"quoted\"\r\nname", "value")))
	// Output: part "a \"quoted\"%0D%0Aname", file "", type "": "value"
}

func ExamplePartBytes() {
	declare(ply.BodyMultipart(ply.PartBytes("report", "report.bin", []byte{1, 2, 3})))
	// Output: part "report", file "report.bin", type "application/octet-stream": "\x01\x02\x03"
}

func ExamplePartFile() {
	path, remove := written("notes.json", "[]")
	defer remove()

	notes := ply.PartFile("notes", path)
	notes.Filename = "notes of today.json"
	declare(ply.BodyMultipart(notes))
	// Output: part "notes", file "notes of today.json", type "application/json": "[]"
}

// The function is called each time that the body is sent.
func ExamplePartFunc() {
	open := func() (io.ReadCloser, error) {
		fmt.Println("opened")
		return io.NopCloser(strings.NewReader("from a bucket")), nil
	}
	declare(ply.BodyMultipart(ply.PartFunc("object", "object.bin", 13, open)))
	// Output:
	// opened
	// part "object", file "object.bin", type "application/octet-stream": "from a bucket"
}

func ExamplePartReader() {
	declare(ply.BodyMultipart(ply.PartReader("log", "log.bin", strings.NewReader("line by line"))))
	// Output: part "log", file "log.bin", type "application/octet-stream": "line by line"
}
