package ply_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// raw answers with bytes as they are and closes the connection.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, answer)
		conn.Close()
	}
}

func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

// habit is a behavior of net/http that layers must not change.
type habit struct {
	refused bool // by CheckStatus, whatever the check
	name    string
	handler http.HandlerFunc
	secure  bool // TLSConfig, and HTTP/2 with it
	observe func(h *habitat)
}

func habits() []habit {
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	return []habit{
		{name: "an answer", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Two"] = []string{"b", "a"}
			http.SetCookie(w, &http.Cookie{Name: "n", Value: "v"})
			fmt.Fprintf(w, "%s %s %s %v", r.Method, r.URL, r.Host, r.Header)
		}, observe: func(h *habitat) {
			resp, err := h.do(h.request(http.MethodGet, nil, "X-Two", "b", "X-Two", "a"))
			require.NoError(h, err)
			h.describe(resp)
			b, _ := io.ReadAll(resp.Body)
			h.note("the server got %s", b)
			h.note("cookies %v", resp.Cookies())
		}},
		{name: "every method", handler: func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Got", fmt.Sprintf("%s %d %v %s", r.Method, r.ContentLength, r.TransferEncoding, b))
		}, observe: func(h *habitat) {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "BREW"} {
				h.see(h.do(h.request(method, nil)))
				h.see(h.do(h.request(method, strings.NewReader("text"))))
				h.see(h.do(h.request(method, struct{ io.Reader }{strings.NewReader("stream")})))
			}
		}},
		{name: "a connection is used again", handler: write("text"), observe: func(h *habitat) {
			for _, end := range []func(io.ReadCloser){
				func(b io.ReadCloser) { io.Copy(io.Discard, b); b.Close() },
				func(b io.ReadCloser) { io.Copy(io.Discard, b) },
				func(b io.ReadCloser) { b.Close() },
				func(b io.ReadCloser) { io.Copy(io.Discard, b); b.Close(); b.Close() },
				func(b io.ReadCloser) { b.Read(make([]byte, 1)); b.Close() },
				func(b io.ReadCloser) { io.Copy(io.Discard, b) },
			} {
				req := h.request(http.MethodGet, nil)
				resp, err := h.do(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
					GotConn: func(i httptrace.GotConnInfo) { h.note("reused %t, was idle %t", i.Reused, i.WasIdle) },
				})))
				require.NoError(h, err)
				end(resp.Body)
			}
			h.note("%d connections", h.connections())
		}},
		{name: "CloseIdleConnections", handler: write("text"), observe: func(h *habitat) {
			for range 3 {
				h.see(h.do(h.request(http.MethodGet, nil)))
				h.closeIdle()
			}
			h.note("%d connections", h.connections())
		}},
		{name: "Close of the request", handler: write("text"), observe: func(h *habitat) {
			for range 2 {
				req := h.request(http.MethodGet, nil)
				req.Close = true
				h.see(h.do(req))
			}
			h.note("%d connections", h.connections())
		}},
		{name: "cancel mid-body", handler: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, observe: func(h *habitat) {
			ctx, cancel := context.WithCancel(h.Context())
			defer cancel()
			resp, err := h.do(h.request(http.MethodGet, nil).WithContext(ctx))
			require.NoError(h, err)
			b := make([]byte, 4)
			n, err := io.ReadFull(resp.Body, b)
			h.note("%q, %v", b[:n], err)
			cancel()
			for range 2 {
				n, err = resp.Body.Read(b)
				h.note("%d, %s", n, kind(err))
			}
			h.note("Close: %v", resp.Body.Close())
			h.see(h.do(h.request(http.MethodGet, nil).WithContext(ctx)))
		}},
		{name: "cancel before the header", handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, observe: func(h *habitat) {
			ctx, cancel := context.WithCancel(h.Context())
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
			h.see(h.do(h.request(http.MethodGet, nil).WithContext(ctx)))
		}},
		{name: "a deadline that has passed", handler: write("text"), observe: func(h *habitat) {
			ctx, cancel := context.WithDeadline(h.Context(), time.Unix(0, 0))
			defer cancel()
			body := &watchedReader{Reader: strings.NewReader("x")}
			h.see(h.do(h.request(http.MethodPost, body).WithContext(ctx)))
			_, closed := body.counts()
			h.note("closed %t", closed)
		}},
		{name: "body closed on error", handler: write("text"), observe: func(h *habitat) {
			h.server.Close()
			body := &watchedReader{Reader: strings.NewReader("x")}
			h.see(h.do(h.request(http.MethodPost, body)))
			read, closed := body.counts()
			h.note("read %d, closed %t", read, closed)
		}},
		{name: "body that fails", handler: func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, observe: func(h *habitat) {
			body := &watchedReader{Reader: io.MultiReader(strings.NewReader(large), readerFunc(func([]byte) (int, error) { return 0, errMine }))}
			h.see(h.do(h.request(http.MethodPost, body)))
			_, closed := body.counts()
			h.note("closed %t", closed)
		}},
		{name: "body that is shorter than announced", handler: func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, observe: func(h *habitat) {
			req := h.request(http.MethodPost, &watchedReader{Reader: strings.NewReader("short")})
			req.ContentLength = 10
			_, err := h.do(req)
			h.note("fails %t", err != nil)
		}},
		{name: "request reused after return", handler: func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%v %s", r.Header, b)
		}, observe: func(h *habitat) {
			for _, body := range []io.Reader{nil, strings.NewReader("text")} {
				req := h.request(http.MethodPost, body, "X", "1")
				before := req.Clone(req.Context())
				for i := range 3 {
					h.see(h.do(req))
					h.note("header %v, URL %s, host %s, length %d", req.Header, req.URL, req.Host, req.ContentLength)
					h.note("as before %t", reflect.DeepEqual([]any{req.Header, req.URL, req.Trailer, req.Form}, []any{before.Header, before.URL, before.Trailer, before.Form}))
					req.Header.Set("X", fmt.Sprint(i+2)) // it is the caller's again
					before = req.Clone(req.Context())
					if req.GetBody != nil {
						req.Body, _ = req.GetBody()
					}
				}
			}
		}},
		{name: "trailers", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-A")
			b, _ := io.ReadAll(r.Body)
			w.Write(b)
			w.Header().Set("X-A", "a "+r.Trailer.Get("X-Sent"))
			w.Header().Set(http.TrailerPrefix+"X-B", "b")
		}, observe: func(h *habitat) {
			for range 2 {
				req := h.request(http.MethodPost, struct{ io.Reader }{strings.NewReader("text")})
				req.Trailer = http.Header{"X-Sent": {"t"}}
				h.see(h.do(req))
			}
		}},
		{name: "gzip", handler: func(w http.ResponseWriter, r *http.Request) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(z, large)
			z.Close()
			if r.Header.Get("Accept-Encoding") != "gzip" {
				io.WriteString(w, r.Header.Get("Accept-Encoding"))
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
			w.Write(b.Bytes())
		}, observe: func(h *habitat) {
			h.see(h.do(h.request(http.MethodGet, nil)))
			h.see(h.do(h.request(http.MethodHead, nil)))
			h.see(h.do(h.request(http.MethodGet, nil, "Accept-Encoding", "gzip")))
			h.see(h.do(h.request(http.MethodGet, nil, "Accept-Encoding", "identity")))
			h.see(h.do(h.request(http.MethodGet, nil, "Range", "bytes=0-5")))
			h.note("%d connections", h.connections())
		}},
		{name: "1xx", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			w.Header().Del("Link")
			io.WriteString(w, "text")
		}, observe: func(h *habitat) {
			req := h.request(http.MethodGet, nil)
			h.see(h.do(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
					h.note("%d %v", code, header)
					return nil
				},
			}))))
		}},
		{name: "1xx that the caller refuses", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
		}, observe: func(h *habitat) {
			req := h.request(http.MethodPost, &watchedReader{Reader: strings.NewReader("x")})
			_, err := h.do(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(int, textproto.MIMEHeader) error { return errMine },
			})))
			h.note("fails %t", err != nil)
		}},
		{name: "101", handler: upgrade, observe: func(h *habitat) {
			resp, err := h.do(h.request(http.MethodGet, nil, "Connection", "Upgrade", "Upgrade", "echo"))
			require.NoError(h, err)
			h.describe(resp)
			conn, ok := resp.Body.(io.ReadWriteCloser)
			_, half := resp.Body.(interface{ CloseWrite() error })
			h.note("can be written to %t, closed by halves %t", ok, half)
			if !ok {
				return
			}
			lines := bufio.NewReader(conn)
			for _, line := range []string{"one\n", "two\n"} {
				n, err := io.WriteString(conn, line)
				h.note("wrote %d, %v", n, err)
				line, err = lines.ReadString('\n')
				h.note("read %q, %v", line, err)
			}
			h.note("Close: %v", conn.Close())
		}},
		{name: "answers without a body", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			switch {
			case r.Method == http.MethodHead:
				w.Header().Set("Content-Length", "1234")
			case r.Header.Get("If-None-Match") != "":
				w.WriteHeader(http.StatusNotModified)
			default:
				w.WriteHeader(http.StatusNoContent)
			}
		}, observe: func(h *habitat) {
			h.see(h.do(h.request(http.MethodHead, nil)))
			h.see(h.do(h.request(http.MethodGet, nil, "If-None-Match", `"1"`)))
			h.see(h.do(h.request(http.MethodGet, nil)))
			h.see(h.do(h.request(http.MethodDelete, nil)))
			h.note("%d connections", h.connections())
		}},
		{name: "chunked", handler: func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				io.WriteString(w, "some")
				w.(http.Flusher).Flush()
			}
		}, observe: func(h *habitat) { h.see(h.do(h.request(http.MethodGet, nil))) }},
		{name: "body that ends with its connection", handler: raw("HTTP/1.0 200 OK\r\n\r\ntext"), observe: func(h *habitat) {
			h.see(h.do(h.request(http.MethodGet, nil)))
		}},
		{name: "body shorter than announced", handler: raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ntext"), observe: func(h *habitat) {
			h.see(h.do(h.request(http.MethodGet, nil)))
		}},
		{name: "chunks without an end", handler: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n"), observe: func(h *habitat) {
			h.see(h.do(h.request(http.MethodGet, nil)))
		}},
		{name: "gzip that is cut", handler: func(w http.ResponseWriter, r *http.Request) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(z, "text")
			z.Close()
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(b.Bytes()[:b.Len()-3])
		}, observe: func(h *habitat) { h.see(h.do(h.request(http.MethodGet, nil))) }},
		{name: "no HTTP", handler: raw("SSH-2.0-OpenSSH_9.9\r\n"), observe: func(h *habitat) {
			_, err := h.do(h.request(http.MethodPost, &watchedReader{Reader: strings.NewReader("x")}))
			h.note("fails %t", err != nil)
		}},
		{name: "Read after Close, Close after Close", handler: write(large), observe: func(h *habitat) {
			resp, err := h.do(h.request(http.MethodGet, nil))
			require.NoError(h, err)
			for range 2 {
				h.note("Close: %v", resp.Body.Close())
				n, err := resp.Body.Read(make([]byte, 8))
				h.note("%d, %s", n, kind(err))
			}
		}},
		{name: "Read after the end", handler: write("text"), observe: func(h *habitat) {
			resp, err := h.do(h.request(http.MethodGet, nil))
			require.NoError(h, err)
			h.read(resp)
			for range 2 {
				n, err := resp.Body.Read(make([]byte, 8))
				h.note("%d, %s", n, kind(err))
			}
			h.note("Close: %v", resp.Body.Close())
		}},
		{name: "requests that lack something", handler: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %v", r.Method, r.URL, r.Header)
		}, observe: func(h *habitat) {
			u, _ := url.Parse(h.url)
			bare := []*http.Request{
				{URL: u}, {Method: http.MethodGet, URL: u}, {Method: http.MethodPost, URL: u, Body: http.NoBody}, {Method: http.MethodHead, URL: u},
			}
			for _, req := range bare {
				h.see(h.do(req))
				h.note("header still nil %t", req.Header == nil)
			}
			bad := []*http.Request{
				{}, {URL: &url.URL{}}, {URL: &url.URL{Scheme: "http"}}, {URL: &url.URL{Scheme: "gopher", Host: u.Host}}, {Method: "B D", URL: u},
				{URL: u, Header: http.Header{"B d": {"x"}}}, {URL: u, Header: http.Header{"X": {"a\nb"}}}, {URL: u, RequestURI: "/x"},
			}
			for i, req := range bad {
				body := &watchedReader{Reader: strings.NewReader("x")}
				req.Body = body
				_, err := h.do(req)
				_, closed := body.counts()
				h.note("%d fails %t, body closed %t", i, err != nil, closed)
			}
		}},
		{name: "Expect: 100-continue", handler: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Refuse") != "" {
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusExpectationFailed)
				return
			}
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%d", n)
		}, observe: func(h *habitat) {
			for _, refuse := range []string{"", "yes"} {
				body := &watchedReader{Reader: strings.NewReader("text")}
				req := h.request(http.MethodPost, body, "Expect", "100-continue", "X-Refuse", refuse)
				req.ContentLength = 4
				h.see(h.do(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
					Got100Continue: func() { h.note("goes on") },
				}))))
				read, _ := body.counts()
				h.note("read %d", read)
			}
		}},
		{name: "large upload as a stream", handler: func(w http.ResponseWriter, r *http.Request) {
			sum := sha256.New()
			n, err := io.Copy(sum, r.Body)
			fmt.Fprintf(w, "%d %v %x %v", n, err, sum.Sum(nil), r.TransferEncoding)
		}, observe: func(h *habitat) {
			pr, pw := io.Pipe()
			go func() {
				for range 4 {
					io.WriteString(pw, large)
				}
				pw.Close()
			}()
			h.see(h.do(h.request(http.MethodPut, pr)))
		}},
		{name: "large download as a stream", handler: func(w http.ResponseWriter, _ *http.Request) {
			for range 4 {
				io.WriteString(w, large)
			}
		}, observe: func(h *habitat) { h.see(h.do(h.request(http.MethodGet, nil))) }},
		events("event by event", false),
		events("event by event, HTTP/2", true),
		{name: "HTTP/2", secure: true, handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-A")
			b, _ := io.ReadAll(r.Body)
			w.Write(b)
			io.WriteString(w, large)
			w.Header().Set("X-A", "a "+r.Trailer.Get("X-Sent"))
		}, observe: func(h *habitat) {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				req := h.request(method, nil)
				if method == http.MethodPost {
					req = h.request(method, struct{ io.Reader }{strings.NewReader(large)})
					req.Trailer = http.Header{"X-Sent": {"t"}}
				}
				h.see(h.do(req))
			}
			h.note("%d connections", h.connections())
		}},
		{name: "HTTP/2 both ways at once", secure: true, handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			buf := make([]byte, 64)
			for {
				n, err := r.Body.Read(buf)
				w.Write(buf[:n])
				w.(http.Flusher).Flush()
				if err != nil {
					return
				}
			}
		}, observe: func(h *habitat) {
			pr, pw := io.Pipe()
			resp, err := h.do(h.request(http.MethodPost, pr))
			require.NoError(h, err)
			lines := bufio.NewReader(resp.Body)
			for _, line := range []string{"one\n", "two\n"} {
				io.WriteString(pw, line)
				line, err := lines.ReadString('\n')
				h.note("%q, %v", line, err)
			}
			pw.Close()
			_, err = lines.ReadString('\n')
			h.note("%v", err)
			resp.Body.Close()
		}},
		{name: "HTTP/2 stream that is reset", secure: true, handler: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, observe: func(h *habitat) {
			resp, err := h.do(h.request(http.MethodGet, nil))
			require.NoError(h, err)
			b, err := io.ReadAll(resp.Body)
			h.note("%q, fails %t", b, err != nil && err != io.EOF)
			h.note("Close fails %t", resp.Body.Close() != nil)
		}},
		{name: "TLS", secure: true, handler: write("text"), observe: func(h *habitat) {
			resp, err := h.do(h.request(http.MethodGet, nil))
			require.NoError(h, err)
			h.note("complete %t, %d certificates, %s", resp.TLS.HandshakeComplete, len(resp.TLS.PeerCertificates), resp.TLS.NegotiatedProtocol)
			h.see(resp, nil)
		}},
		{name: "the context of the response", handler: write("text"), observe: func(h *habitat) {
			type key struct{}
			req := h.request(http.MethodGet, nil)
			resp, err := h.do(req.WithContext(context.WithValue(req.Context(), key{}, "value")))
			require.NoError(h, err)
			h.note("%v, alive %t", resp.Request.Context().Value(key{}), resp.Request.Context().Err() == nil)
			resp.Body.Close()
		}},
		{name: "redirects, cookies and Referer", handler: func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Got", fmt.Sprintf("%s %v %s %s %s", r.Method, r.Cookies(), r.Referer(), r.Header.Get("Authorization"), b))
			hop := 1
			fmt.Sscanf(r.URL.Path, "/hop%d", &hop)
			status := map[int]int{1: 302, 2: 307, 3: 303, 4: 308, 5: 301}[hop]
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("hop", hop), Value: "x", Path: "/"})
			if status != 0 {
				w.Header().Set("Location", fmt.Sprintf("/hop%d", hop+1))
				w.WriteHeader(status)
			}
			io.WriteString(w, "text")
		}, observe: func(h *habitat) {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
				req := h.request(method, nil, "Authorization", "Bearer x")
				if method == http.MethodPost {
					req = h.request(method, strings.NewReader("body"), "Content-Type", "text/plain")
				}
				resp, err := h.do(req)
				h.see(resp, err)
				for r := resp.Request; r.Response != nil; r = r.Response.Request {
					h.note("%s %s after %d: %s, referer %q, cookies %v", r.Method, r.URL, r.Response.StatusCode, r.Response.Header.Get("X-Got"), r.Referer(), r.Cookies())
				}
			}
			h.note("%d connections", h.connections())
		}},
		{name: "307 without GetBody", refused: true, handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/x", http.StatusTemporaryRedirect)
		}, observe: func(h *habitat) {
			h.see(h.do(h.request(http.MethodPost, struct{ io.Reader }{strings.NewReader("text")})))
		}},
		{name: "a redirect to nowhere", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", r.URL.Query().Get("to"))
			w.WriteHeader(http.StatusFound)
		}, observe: func(h *habitat) {
			for _, to := range []string{"", "http://%zz/", "gopher://a.test/"} {
				req := h.request(http.MethodPost, nil)
				req.URL.RawQuery = url.Values{"to": {to}}.Encode()
				resp, err := h.do(req)
				h.note("%q: fails %t", to, err != nil)
				if err == nil {
					h.describe(resp)
					resp.Body.Close()
				}
			}
		}},
		{name: "Host and User-Agent", handler: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %v", r.Host, r.Header)
		}, observe: func(h *habitat) {
			req := h.request(http.MethodGet, nil, "User-Agent", "mine")
			req.Host = "other.test"
			h.see(h.do(req))
			req = h.request(http.MethodGet, nil)
			req.Header["User-Agent"] = nil
			h.see(h.do(req))
			req = h.request(http.MethodGet, nil)
			req.URL.User = url.UserPassword("user", "pass")
			resp, err := h.do(req)
			require.NoError(h, err)
			h.read(resp)
		}},
	}
}

// events is a stream that goes on only when its reader has seen the last event.
func events(name string, secure bool) habit {
	const last = 5
	seen := make(chan int)
	return habit{name: name, secure: secure, handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range last {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-seen:
			case <-r.Context().Done():
				return
			}
		}
	}, observe: func(h *habitat) {
		resp, err := h.do(h.request(http.MethodGet, nil))
		require.NoError(h, err)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if lines.Text() == "" {
				continue
			}
			h.note("%s", lines.Text())
			seen <- 0
		}
		h.note("%v", lines.Err())
	}}
}

// resetMidBody resets the connection, which a handler cannot do, after the client has read the beginning of the body.
func resetMidBody() habit {
	read := make(chan int)
	return habit{name: "reset mid-body", handler: func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
		<-read
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}, observe: func(h *habitat) {
		resp, err := h.do(h.request(http.MethodGet, nil))
		require.NoError(h, err)
		b := make([]byte, 4)
		_, err = io.ReadFull(resp.Body, b)
		h.note("%q, %v", b, err)
		read <- 0
		for range 2 {
			n, err := resp.Body.Read(b)
			h.note("%d, %s", n, kind(err))
		}
		h.note("Close: %v", resp.Body.Close())
	}}
}
