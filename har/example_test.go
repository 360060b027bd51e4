package har_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/plyhttp/ply/har"
)

// An exchange is written without its secrets.
func ExampleEncoder() {
	out := har.NewEncoder(os.Stdout, har.Options{Creator: har.Creator{Name: "example", Version: "1.0"}, OmitBodies: true})
	err := out.Encode(&har.Entry{
		Started: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), Time: 20, Timings: har.Timings{Wait: 20},
		Request:  har.Request{Method: "GET", URL: "https://example.com/?token=secret", HTTPVersion: "HTTP/1.1", HeadersSize: -1},
		Response: har.Response{Status: 200, StatusText: "OK", HTTPVersion: "HTTP/1.1", Content: har.NewContent([]byte("hello"), "text/plain"), HeadersSize: -1, BodySize: 5},
	})
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"log":{"version":"1.2","creator":{"name":"example","version":"1.0"},"entries":[
	// {"startedDateTime":"2024-02-29T12:00:00Z","time":20,"request":{"method":"GET","url":"https://example.com/?token=REDACTED","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"queryString":[],"headersSize":-1,"bodySize":0},"response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"content":{"size":5,"mimeType":"text/plain"},"redirectURL":"","headersSize":-1,"bodySize":5},"cache":{},"timings":{"send":0,"wait":20,"receive":0}}
	// ]}}
}

// The entries of an archive are read one by one.
func ExampleEntries() {
	archive := strings.NewReader(`{"log": {"version": "1.2", "creator": {"name": "a browser", "version": "1"}, "entries": [
		{"startedDateTime": "2024-02-29T12:00:00Z", "request": {"method": "GET", "url": "https://example.com/"}, "response": {"status": 404, "content": {"size": 4, "text": "gone"}}}
	]}}`)
	for e, err := range har.Entries(archive) {
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := e.Response.Content.Bytes()
		fmt.Println(e.Request.Method, e.Request.URL, e.Response.Status, string(body), err)
	}
	// Output: GET https://example.com/ 404 gone <nil>
}
