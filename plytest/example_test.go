package plytest_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/plyhttp/ply/plytest"
)

// A script of replies is the server below the layer under test, and its log is what the test looks at.
func Example() {
	origin := plytest.NewOrigin(
		plytest.Refuse(),
		plytest.Status(http.StatusServiceUnavailable),
		plytest.Text("hello", "Etag", `"v1"`),
	)
	client := &http.Client{Transport: origin} // or the layer under test, around origin

	for range 3 {
		resp, err := client.Get("http://example.test/greeting")
		if err != nil {
			fmt.Println(err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, body)
	}
	for _, x := range origin.Exchanges() {
		fmt.Println(x.Method, x.URL.Path, x.Status, x.BodyRead)
	}
	// Output:
	// Get "http://example.test/greeting": dial tcp 192.0.2.1:80: connect: connection refused
	// 503 ""
	// 200 "hello"
	// GET /greeting 0 false
	// GET /greeting 503 true
	// GET /greeting 200 true
}

func ExampleNewOrigin() {
	origin := plytest.NewOrigin(plytest.Text("first"), plytest.Text("second, and every one after it"))
	client := &http.Client{Transport: origin}
	for range 3 {
		resp, err := client.Get("http://example.test/")
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(printer{}, resp.Body)
		resp.Body.Close()
	}
	// Output:
	// first
	// second, and every one after it
	// second, and every one after it
}

// printer prints what is written to it, a line each time.
type printer struct{}

func (printer) Write(p []byte) (int, error) {
	fmt.Println(string(p))
	return len(p), nil
}

func ExampleNewHandlerOrigin() {
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s asked for %s", r.Method, r.URL.Path)
	}))
	client := &http.Client{Transport: origin}
	resp, err := client.Get("http://example.test/page")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	io.Copy(printer{}, resp.Body)
	// Output: GET asked for /page
}

func ExampleResetAfter() {
	origin := plytest.NewOrigin(plytest.Reply{Body: "0123456789", Fault: plytest.ResetAfter(4)})
	resp, err := origin.RoundTrip(get("http://example.test/"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s of %d bytes: %v\n", body, resp.ContentLength, err)
	// Output: 0123 of 10 bytes: read tcp: read: connection reset by peer
}

func get(url string) *http.Request {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	return req
}

func ExampleRetryIn() {
	origin := plytest.NewOrigin(plytest.RetryIn(http.StatusTooManyRequests, 2*time.Second))
	resp, err := origin.RoundTrip(get("http://example.test/"))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Retry-After"))
	// Output: 429 Too Many Requests 2
}

// A test of a layer's own package has one line for the contract.
func ExampleCheckMiddleware() {
	_ = func(t *testing.T) {
		plytest.CheckMiddleware(t, userAgent("demo/1.0"))
	}
	// Output:
}

func ExampleExcept() {
	_ = func(t *testing.T) {
		plytest.CheckMiddleware(t, userAgent("demo/1.0"),
			plytest.Except(plytest.BodyStreamed, "verifies the checksum before anyone sees the body"))
	}
	// Output:
}

// The same script over a real socket shows what http.Transport makes of it.
func ExampleNewServer() {
	_ = func(t *testing.T) {
		server := plytest.NewServer(t, plytest.Reply{Raw: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"})
		resp, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF {
			t.Errorf("got %v, want unexpected EOF", err)
		}
	}
	// Output:
}

func ExampleCheckGoroutines() {
	_ = func(t *testing.T) {
		plytest.CheckGoroutines(t)
		// … what the test does
	}
	// Output:
}
