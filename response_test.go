package ply_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
)

type user struct {
	XMLName xml.Name `xml:"user" json:"-"`
	ID      int      `xml:"id" json:"id"`
	Name    string   `xml:"name" json:"name"`
}

// ann is the content of the bodies in these tests, in JSON and in XML.
var ann = user{ID: 7, Name: "Ann"}

const (
	annJSON = `{"id":7,"name":"Ann"}`
	annXML  = `<user><id>7</id><name>Ann</name></user>`
)

// watchedBody counts what is done to a body.
type watchedBody struct {
	io.Reader
	read   int64
	closed int
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	return n, err
}

func (b *watchedBody) Close() error { b.closed++; return nil }

// served describes a response. A length of 0 is not announced.
type served struct {
	status int
	media  string
	header http.Header
	body   func() io.Reader
	length int64
}

// get answers a GET of a URL full of secrets, by way of an *http.Client.
func (a served) get(ctx context.Context) (*watchedBody, *http.Response, error) {
	body := &watchedBody{Reader: strings.NewReader("")}
	if a.body != nil {
		body.Reader = a.body()
	}
	hc := &http.Client{Transport: ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: a.status, Header: http.Header{}, Body: body, ContentLength: a.length, Request: req}
		for name, values := range a.header {
			resp.Header[name] = values
		}
		if a.status == 0 {
			resp.StatusCode = http.StatusOK
		}
		if a.length == 0 {
			resp.ContentLength = -1
		}
		if a.media != "" {
			resp.Header.Set("Content-Type", a.media)
		}
		return resp, nil
	})}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://ann:hush1@api.example.com/users/7?token=hush2", nil)
	if err != nil {
		panic(err)
	}
	resp, err := hc.Do(req)
	return body, resp, err
}

// text returns a body with s, read through the readers as, the last of them outermost.
func literalSegment(s string, as ...func(io.Reader) io.Reader) func() io.Reader {
	return func() io.Reader {
		var r io.Reader = strings.NewReader(s)
		for _, wrap := range as {
			r = wrap(r)
		}
		return r
	}
}

// failing is a reader for [text] that ends in an error.
func failing(err error) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(err)) }
}

// reader is one of the functions that take a response, with its result as a string.
type reader struct {
	name string
	read func(*http.Response, error) (string, error)
}

var readers = []reader{
	{"JSON", func(resp *http.Response, err error) (string, error) {
		v, err := ply.JSON[json.RawMessage](resp, err)
		return string(v), err
	}},
	{"Decode", func(resp *http.Response, err error) (string, error) {
		return ply.Decode[string](func(data []byte, v any) error { *v.(*string) = string(data); return nil })(resp, err)
	}},
	{"Bytes", func(resp *http.Response, err error) (string, error) {
		b, err := ply.Bytes(resp, err)
		return string(b), err
	}},
	{"Text", ply.Text},
	{"CopyTo", func(resp *http.Response, err error) (string, error) {
		var b strings.Builder
		n, err := ply.CopyTo(&b)(resp, err)
		if n != int64(b.Len()) {
			err = fmt.Errorf("%d bytes reported, %d written", n, b.Len())
		}
		if err != nil {
			return "", err
		}
		return b.String(), nil
	}},
	{"Save", func(resp *http.Response, err error) (string, error) {
		dir, dirErr := os.MkdirTemp("", "ply")
		if dirErr != nil {
			return "", dirErr
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "saved")
		n, err := ply.Save(path)(resp, err)
		content, _ := os.ReadFile(path)
		if files, _ := os.ReadDir(dir); n != int64(len(content)) || err != nil && len(files) != 0 {
			err = fmt.Errorf("%d bytes reported, %d written to %v (%w)", n, len(content), files, err)
		}
		return string(content), err
	}},
}

func TestReadersAcceptAnyReturnOfACall(t *testing.T) {
	failed := errors.New("no connection")
	for _, r := range append(readers, discard) {
		t.Run(r.name, func(t *testing.T) {
			if _, err := r.read(nil, failed); err != failed {
				t.Errorf("error %v, want it as it was given", err)
			}
			// net/http has closed the body of a response that it returns with an error.
			body, resp, err := served{body: literalSegment(annJSON)}.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.read(resp, failed); err != failed || body.closed != 0 {
				t.Errorf("error %v, closed %d times", err, body.closed)
			}
			if _, err := r.read(nil, nil); err == nil {
				t.Error("no error for no response")
			}
			bare := &http.Response{StatusCode: http.StatusOK}
			if got, err := r.read(bare, nil); got != "" || err != nil && !errors.Is(err, ply.ErrEmptyBody) {
				t.Errorf("a response with neither request nor body: %q, %v", got, err)
			}
			bare = &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("7"))}
			if got, err := r.read(bare, nil); got != "7" && r.name != "Discard" || err != nil {
				t.Errorf("a response without request: %q, %v", got, err)
			}
		})
	}
}

// discard is [ply.Discard] as a reader, which has no result.
var discard = reader{"Discard", func(resp *http.Response, err error) (string, error) { return "", ply.Discard(resp, err) }}

func TestDiscard(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name   string
		answer served
		atMost int64
		err    error
	}{
		{"short", served{body: literalSegment(annJSON, iotest.OneByteReader)}, 21, nil},
		{"never ending", served{body: func() io.Reader { return endless{} }}, 65 << 10, nil},
		{"never ending, as announced", served{body: func() io.Reader { return endless{} }, length: 1 << 40}, 0, nil},
		{"broken", served{body: literalSegment(annJSON, failing(broken))}, 21, broken},
		{"cut", served{body: literalSegment(annJSON, failing(io.ErrUnexpectedEOF)), length: 22}, 21, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, resp, err := tt.answer.get(ply.WithBodyLimit(t.Context(), 1))
			checkError(t, ply.Discard(resp, err), tt.err, 0)
			if body.closed != 1 || body.read > tt.atMost {
				t.Errorf("closed %d times after %d bytes", body.closed, body.read)
			}
		})
	}
}

func TestHistoryIsOldestFirst(t *testing.T) {
	origin := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: http.StatusFound, Header: http.Header{}, Body: http.NoBody, Request: req}
		switch req.URL.Path {
		case "/a":
			resp.Header.Set("Location", "/b")
		case "/b":
			resp.Header.Set("Location", "/c")
		default:
			resp.StatusCode = http.StatusOK
		}
		return resp, nil
	})
	client, err := ply.New(ply.Options{Transport: origin})
	if err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Transport: origin}
	for name, get := range map[string]func(url string) (*http.Response, error){
		"http.Client": hc.Get,
		"ply.Client":  func(url string) (*http.Response, error) { return client.Get(t.Context(), url) },
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := get("https://api.example.com/a")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range ply.History(resp) {
				got = append(got, r.Request.URL.Path+" "+r.Header.Get("Location"))
			}
			if diff := cmp.Diff([]string{"/a /b", "/b /c"}, got); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			resp, err = get("https://api.example.com/c")
			if err != nil || len(ply.History(resp)) != 0 {
				t.Errorf("history of a response that came at once: %v, %v", ply.History(resp), err)
			}
		})
	}
	if got := ply.History(nil); len(got) != 0 {
		t.Errorf("history of no response: %v", got)
	}
	if got := ply.History(&http.Response{}); len(got) != 0 {
		t.Errorf("history of a response without request: %v", got)
	}
}

func TestContextCancelsARead(t *testing.T) {
	for _, r := range append(readers, discard, reader{"ErrorForStatus", func(resp *http.Response, err error) (string, error) {
		_, err = ply.ErrorForStatus(resp, err)
		return "", err
	}}) {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				status := http.StatusOK
				if r.name == "ErrorForStatus" {
					status = http.StatusBadGateway
				}
				start := time.Now()
				body, resp, err := served{status: status, body: literalSegment("7", func(sent io.Reader) io.Reader {
					return io.MultiReader(sent, readerFunc(func([]byte) (int, error) {
						<-ctx.Done()
						return 0, ctx.Err()
					}))
				})}.get(ctx)
				_, err = r.read(resp, err)
				if time.Since(start) != time.Minute || body.closed != 1 {
					t.Errorf("returned after %v, closed %d times", time.Since(start), body.closed)
				}
				var failed *ply.StatusError
				if errors.As(err, &failed) && string(failed.Excerpt) == "7" {
					return
				}
				checkError(t, err, context.DeadlineExceeded, 0)
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestConnectionIsReused counts the connections that a series of calls needs: over real sockets, through net/http's transport.
func TestConnectionIsReused(t *testing.T) {
	mux := http.NewServeMux()
	serve := func(path string, status int, content string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if http.NewResponseController(w).Flush() == nil { // no Content-Length: the body is chunked
				io.WriteString(w, content)
			}
		})
	}
	serve("/ok", 200, annJSON)
	serve("/garbage", 200, annJSON+" and more")
	serve("/none", 204, "")
	serve("/page", 200, strings.Repeat("x", 50<<10))
	serve("/failure", 500, annJSON)
	serve("/failure/page", 500, strings.Repeat("x", 50<<10))
	serve("/failure/exact", 500, strings.Repeat("x", 4<<10))
	serve("/huge", 200, strings.Repeat("x", 8<<20))
	serve("/failure/huge", 500, strings.Repeat("x", 8<<20))

	tests := []struct {
		name string
		use  func(get func(path string) (*http.Response, error))
		want int32
	}{
		{"read", func(get func(string) (*http.Response, error)) {
			ply.JSON[user](get("/ok"))
			ply.JSON[user](get("/garbage"))
			ply.JSON[user](get("/none"))
			ply.JSON[user](get("/failure"))
			ply.Bytes(get("/page"))
			ply.Text(get("/ok"))
			ply.CopyTo(io.Discard)(get("/page"))
			ply.Discard(get("/page"))
			ply.Discard(get("/none"))
			ply.ErrorForStatus(get("/failure"))
			ply.ErrorForStatus(get("/failure/page"))
			ply.ErrorForStatus(get("/failure/exact"))
		}, 1},
		{"not worth reading", func(get func(string) (*http.Response, error)) {
			ply.Discard(get("/huge"))
			ply.ErrorForStatus(get("/failure/huge"))
			ply.Bytes(get("/ok"))
		}, 3},
	}
	for _, tt := range tests {
		for _, which := range []string{"http.Client", "ply.Client"} {
			t.Run(tt.name+"/"+which, func(t *testing.T) {
				var connections atomic.Int32
				server := httptest.NewUnstartedServer(mux)
				server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						connections.Add(1)
					}
				}
				server.Start()
				defer server.Close()
				get := func(path string) (*http.Response, error) { return server.Client().Get(server.URL + path) }
				if which == "ply.Client" {
					client, err := ply.New(ply.Options{BaseURL: server.URL})
					if err != nil {
						t.Fatal(err)
					}
					defer client.Close()
					get = func(path string) (*http.Response, error) { return client.Get(t.Context(), path) }
				}
				tt.use(get)
				if got := connections.Load(); got != tt.want {
					t.Errorf("%d connections, want %d", got, tt.want)
				}
			})
		}
	}
}

// TestTruncatedBodyIsAnError has a server break off, with and without a Content-Length.
func TestTruncatedBodyIsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/announced" {
			w.Header().Set("Content-Length", "21")
		}
		io.WriteString(w, annJSON[:9])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, path := range []string{"/announced", "/chunked"} {
		for _, r := range append(slices.Clone(readers), discard) {
			got, err := r.read(server.Client().Get(server.URL + path))
			if got != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s of http.Client, %s: %q, %v", r.name, path, got, err)
			}
			got, err = r.read(client.Get(t.Context(), path))
			if got != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s of ply.Client, %s: %q, %v", r.name, path, got, err)
			}
		}
	}
}
