package plytest_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/plytest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	must(t, err)
	return req
}

func send(t testing.TB, rt http.RoundTripper, req *http.Request) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	must(t, err)
	return resp
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	return string(b)
}

func TestScriptPlaysInOrderAndRepeatsItsLastReply(t *testing.T) {
	origin := &plytest.Origin{
		Script: []plytest.Reply{plytest.Status(503), plytest.Text("b"), plytest.Text("c")},
		Paths:  map[string][]plytest.Reply{"/p": {plytest.Text("p1"), plytest.Text("p2")}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.Error("the handler answered although a script covers everything")
		}),
	}
	var got []string
	for _, path := range []string{"/", "/p", "/", "/x", "/p", "/", "/p"} {
		resp := send(t, origin, request(t, "GET", "http://a.test"+path, nil))
		got = append(got, fmt.Sprint(resp.StatusCode, " ", text(t, resp)))
	}
	want := []string{"503 ", "200 p1", "200 b", "200 c", "200 p2", "200 c", "200 p2"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("answers (-want +got):\n%s", d)
	}
}

func TestZeroOriginAnswersWithAnEmpty200(t *testing.T) {
	resp := send(t, &plytest.Origin{}, request(t, "GET", "http://a.test/", nil))
	if got := text(t, resp); resp.StatusCode != 200 || got != "" || resp.ContentLength != 0 {
		t.Errorf("got %d %q, length %d", resp.StatusCode, got, resp.ContentLength)
	}
}

func TestExchangesRecordRequestsAndTheirOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		origin := plytest.NewOrigin(plytest.Text("hello"))
		origin.Latency = time.Second
		req := request(t, "PUT", "http://a.test/doc?v=1", strings.NewReader("content"))
		req.Header.Set("X-A", "1")
		resp := send(t, origin, req)
		if time.Since(start) != time.Second {
			t.Errorf("the answer took %v, want the latency of 1s", time.Since(start))
		}
		text(t, resp)

		x := origin.Exchanges()[0]
		got := []any{x.Method, x.URL.String(), x.Host, x.Header.Get("X-A"), string(x.Body), x.Size, x.Sum == sha256.Sum256([]byte("content")), x.At.Equal(start), x.Status, x.Err, x.BodyRead, x.BodyClosed, x.Canceled}
		want := []any{"PUT", "http://a.test/doc?v=1", "a.test", "1", "content", int64(7), true, true, 200, nil, true, true, false}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("exchange (-want +got):\n%s", d)
		}
	})
}

func TestExchangesDistinguishClosedCanceledAndReadBodies(t *testing.T) {
	tests := []struct {
		name string
		use  func(cancel func(), body io.ReadCloser)
		want [3]bool // read, closed, canceled
	}{
		{"read to the end", func(_ func(), b io.ReadCloser) { io.ReadAll(b) }, [3]bool{true, false, false}},
		{"closed early", func(_ func(), b io.ReadCloser) { b.Read(make([]byte, 1)); b.Close() }, [3]bool{false, true, false}},
		{"canceled", func(cancel func(), b io.ReadCloser) { cancel() }, [3]bool{false, false, true}},
		{"canceled after the end", func(cancel func(), b io.ReadCloser) { io.ReadAll(b); b.Close(); cancel() }, [3]bool{true, true, false}},
		{"canceled after Close", func(cancel func(), b io.ReadCloser) { b.Close(); cancel() }, [3]bool{false, true, false}},
		{"nothing done", func(func(), io.ReadCloser) {}, [3]bool{}},
	}
	origins := map[string]func() *plytest.Origin{
		"script":  func() *plytest.Origin { return plytest.NewOrigin(plytest.Text("hello")) },
		"handler": func() *plytest.Origin { return plytest.NewHandlerOrigin(hello) },
	}
	for kind, origin := range origins {
		for _, tt := range tests {
			t.Run(kind+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := origin()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					resp := send(t, o, request(t, "GET", "http://a.test/", nil).WithContext(ctx))
					synctest.Wait()
					tt.use(cancel, resp.Body)
					synctest.Wait()
					x := o.Exchanges()[0]
					if got := [3]bool{x.BodyRead, x.BodyClosed, x.Canceled}; got != tt.want {
						t.Errorf("read, closed, canceled = %v, want %v", got, tt.want)
					}
				})
			})
		}
	}
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })

func TestFaultsBreakTheBodyAtTheGivenByte(t *testing.T) {
	isReset := func(err error) bool {
		var op *net.OpError
		return errors.As(err, &op) && op.Op == "read" && errors.Is(err, syscall.ECONNRESET)
	}
	isCut := func(err error) bool { return err == io.ErrUnexpectedEOF }
	tests := []struct {
		name   string
		reply  plytest.Reply
		want   string
		length int64
		is     func(error) bool
	}{
		{"reset", plytest.Reply{Body: "0123456789", Fault: plytest.ResetAfter(4)}, "0123", 10, isReset},
		{"reset at once", plytest.Reply{Body: "0123456789", Fault: plytest.ResetAfter(0)}, "", 10, isReset},
		{"reset behind the last byte", plytest.Reply{Body: "0123456789", Fault: plytest.ResetAfter(99)}, "0123456789", 10, isReset},
		{"short Content-Length", plytest.Reply{Body: "0123456789", Fault: plytest.CutAfter(4)}, "0123", 10, isCut},
		{"missing last chunk", plytest.Reply{Body: "0123456789", Fault: plytest.Unterminated()}, "0123456789", -1, isCut},
		{"raw, short", plytest.Reply{Raw: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123"}, "0123", 10, isCut},
		{"raw, reset", plytest.Reply{Raw: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", Fault: plytest.ResetAfter(43)}, "0123", 10, isReset},
		{"handler writes less than it announced", plytest.Handle(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "0123")
		}), "0123", 10, isCut},
		{"handler aborts", plytest.Handle(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "0123")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), "0123", -1, isCut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origin := plytest.NewOrigin(tt.reply)
			resp := send(t, origin, request(t, "GET", "http://a.test/", nil))
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != tt.want || resp.ContentLength != tt.length || !tt.is(err) {
				t.Errorf("got %q of %d, error %v; want %q of %d and another error", got, resp.ContentLength, err, tt.want, tt.length)
			}
			if x := origin.Exchanges()[0]; x.BodyRead || x.Err == nil {
				t.Errorf("log says read %v, error %v", x.BodyRead, x.Err)
			}
		})
	}
}

func TestStalledBodyEndsWithContextOrClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Reply{Body: "0123456789", Fault: plytest.StallAfter(4)})
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		resp := send(t, origin, request(t, "GET", "http://a.test/", nil).WithContext(ctx))
		if got, err := io.ReadAll(resp.Body); string(got) != "0123" || err != cause {
			t.Errorf("got %q, %v; want 0123 and the context's cause", got, err)
		}

		resp = send(t, origin, request(t, "GET", "http://a.test/", nil))
		time.AfterFunc(time.Minute, func() { resp.Body.Close() })
		if got, err := io.ReadAll(resp.Body); string(got) != "0123" || err == nil {
			t.Errorf("got %q, %v; want 0123 and an error", got, err)
		}
	})
}

func TestFailuresMatchThoseOfHTTPTransport(t *testing.T) {
	mine := errors.New("mine")
	var refused *net.OpError
	var dns *net.DNSError
	var alert tls.AlertError
	var cert *tls.CertificateVerificationError
	var stream StreamError
	tests := []struct {
		name  string
		reply plytest.Reply
		is    func(error) bool
		hooks string
	}{
		{"refused", plytest.Refuse(), func(err error) bool {
			return errors.As(err, &refused) && refused.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED)
		}, "GetConn ConnectStart ConnectDone"},
		{"no such host", plytest.NoSuchHost(), func(err error) bool {
			return errors.As(err, &dns) && dns.IsNotFound && dns.Name == "a.test"
		}, "GetConn DNSStart DNSDone"},
		{"handshake", plytest.FailHandshake(), func(err error) bool { return errors.As(err, &alert) }, "GetConn TLSHandshakeStart TLSHandshakeDone"},
		{"certificate", plytest.BadCertificate(), func(err error) bool { return errors.As(err, &cert) }, "GetConn TLSHandshakeStart TLSHandshakeDone"},
		{"unsent", plytest.FailUnsent(mine), func(err error) bool { return err == mine }, "GetConn"},
		{"sent", plytest.Fail(mine), func(err error) bool { return err == mine }, "GetConn GotConn WroteHeaders WroteRequest"},
		{"lost", plytest.ResetConnection(), func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }, "GetConn GotConn WroteHeaders WroteRequest"},
		{"stream refused", plytest.RefuseStream(), func(err error) bool {
			return errors.As(err, &stream) && stream.StreamID == 1 && stream.Code == 7
		}, "GetConn GotConn WroteHeaders WroteRequest"},
		{"not HTTP", plytest.Reply{Raw: "HELO\r\n\r\n"}, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "malformed HTTP")
		}, "GetConn GotConn WroteHeaders WroteRequest GotFirstResponseByte"},
		{"handler panics before the answer", plytest.Handle(func(http.ResponseWriter, *http.Request) { panic("no") }),
			func(err error) bool { return err == io.EOF }, "GetConn GotConn WroteHeaders"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := &countedBody{Reader: strings.NewReader("content")}
			var hooks []string
			req := request(t, "POST", "https://a.test/", body)
			_, err := plytest.NewOrigin(tt.reply).RoundTrip(req.WithContext(traced(req.Context(), &hooks)))
			if !tt.is(err) {
				t.Errorf("error %T %v", err, err)
			}
			if body.closed.Load() != 1 {
				t.Errorf("request body closed %d times", body.closed.Load())
			}
			if got := strings.Join(hooks, " "); got != tt.hooks {
				t.Errorf("hooks %s\n want %s", got, tt.hooks)
			}
		})
	}
}

// StreamError is shaped like the one of golang.org/x/net/http2.
type StreamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (StreamError) Error() string { return "" }

// traced returns a context whose hooks append their names. They run one at a time here.
func traced(ctx context.Context, log *[]string) context.Context {
	add := func(name string) { *log = append(*log, name) }
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { add("GetConn") },
		GotConn:              func(httptrace.GotConnInfo) { add("GotConn") },
		GotFirstResponseByte: func() { add("GotFirstResponseByte") },
		Got100Continue:       func() { add("Got100Continue") },
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			add(fmt.Sprint("Got", code))
			return nil
		},
		DNSStart:          func(httptrace.DNSStartInfo) { add("DNSStart") },
		DNSDone:           func(httptrace.DNSDoneInfo) { add("DNSDone") },
		ConnectStart:      func(string, string) { add("ConnectStart") },
		ConnectDone:       func(string, string, error) { add("ConnectDone") },
		TLSHandshakeStart: func() { add("TLSHandshakeStart") },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { add("TLSHandshakeDone") },
		WroteHeaders:      func() { add("WroteHeaders") },
		Wait100Continue:   func() { add("Wait100Continue") },
		WroteRequest:      func(httptrace.WroteRequestInfo) { add("WroteRequest") },
	})
}

func TestRetryInAndRetryAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.RetryIn(429, 1500*time.Millisecond), plytest.RetryAt(503, time.Minute))
		time.Sleep(time.Hour)
		first := send(t, origin, request(t, "GET", "http://a.test/", nil))
		second := send(t, origin, request(t, "GET", "http://a.test/", nil))
		got := []string{first.Status, first.Header.Get("Retry-After"), second.Status, second.Header.Get("Retry-After")}
		want := []string{"429 Too Many Requests", "2", "503 Service Unavailable", "Sat, 01 Jan 2000 01:01:00 GMT"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestExpectContinueDecidesWhetherTheBodyIsSent(t *testing.T) {
	tests := []struct {
		name  string
		reply plytest.Reply
		sent  string
		hooks string
	}{
		{"accepted", plytest.Status(200), "content", "GetConn GotConn WroteHeaders Wait100Continue Got100Continue Got100 WroteRequest GotFirstResponseByte"},
		{"refused", plytest.Status(417), "", "GetConn GotConn WroteHeaders Wait100Continue GotFirstResponseByte"},
		{"handler reads", plytest.Handle(func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) }), "content",
			"GetConn GotConn WroteHeaders Wait100Continue Got100Continue Got100 WroteRequest GotFirstResponseByte"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origin := plytest.NewOrigin(tt.reply)
			body := &countedBody{Reader: strings.NewReader("content")}
			var hooks []string
			req := request(t, "PUT", "http://a.test/", body)
			req.Header.Set("Expect", "100-continue")
			send(t, origin, req.WithContext(traced(req.Context(), &hooks)))
			if got := string(origin.Exchanges()[0].Body); got != tt.sent {
				t.Errorf("sent %q, want %q", got, tt.sent)
			}
			if body.closed.Load() != 1 {
				t.Errorf("request body closed %d times", body.closed.Load())
			}
			if got := strings.Join(hooks, " "); got != tt.hooks {
				t.Errorf("hooks %s\n want %s", got, tt.hooks)
			}
		})
	}
}

func TestInterimResponsesComeBeforeTheFinalOne(t *testing.T) {
	origins := map[string]*plytest.Origin{
		"script": plytest.NewOrigin(plytest.Reply{Body: "x", Info: []plytest.Reply{plytest.Status(103, "Link", "</a.css>"), plytest.Status(102)}}),
		"handler": plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(102)
			io.WriteString(w, "x")
		})),
		"raw": plytest.NewOrigin(plytest.Reply{Raw: "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"}),
	}
	for name, origin := range origins {
		t.Run(name, func(t *testing.T) {
			var hooks []string
			req := request(t, "GET", "http://a.test/", nil)
			resp := send(t, origin, req.WithContext(traced(req.Context(), &hooks)))
			if got := strings.Join(hooks, " "); !strings.Contains(got, "Got103") || !strings.Contains(got, "Got102") || text(t, resp) != "x" {
				t.Errorf("hooks %s", got)
			}
		})
	}
}

func TestUpgradedConnectionIsBidirectional(t *testing.T) {
	echo := func(conn net.Conn) { io.Copy(conn, conn) }
	origins := map[string]*plytest.Origin{
		"script": plytest.NewOrigin(plytest.Reply{Upgrade: echo, Header: http.Header{"Upgrade": {"echo"}}}),
		"handler": plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			buf.Flush()
			echo(conn)
		})),
	}
	for name, origin := range origins {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp := send(t, origin, request(t, "GET", "http://a.test/", nil))
				if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" {
					t.Errorf("got %s %v", resp.Status, resp.Header)
				}
				conn := resp.Body.(io.ReadWriteCloser)
				io.WriteString(conn, "ping")
				got := make([]byte, 4)
				io.ReadFull(conn, got)
				if string(got) != "ping" {
					t.Errorf("echo %q", got)
				}
				conn.Close()
			})
		})
	}
}

func TestHandlerIsServedAsByAServer(t *testing.T) {
	tests := []struct {
		name    string
		method  string
		handler http.HandlerFunc
		want    string // status, length, transfer encoding, type, body
	}{
		{"short answer", "GET", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<p>hi") }, `200 5 [] text/html; charset=utf-8 "<p>hi"`},
		{"nothing", "GET", func(w http.ResponseWriter, r *http.Request) {}, `200 0 []  ""`},
		{"status only", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) }, `404 0 []  ""`},
		{"no content", "GET", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, `204 0 []  ""`},
		{"flushed", "GET", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			io.WriteString(w, "b")
		}, `200 -1 [chunked] text/plain; charset=utf-8 "ab"`},
		{"announced length", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			if _, err := io.WriteString(w, "bc"); err != http.ErrContentLength {
				t.Errorf("writing too much: %v", err)
			}
			io.WriteString(w, "b")
		}, `200 2 [] text/plain; charset=utf-8 "ab"`},
		{"head", "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }, `200 5 []  ""`},
		{"header after the status is too late", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.Header().Set("Content-Type", "x/y")
		}, `200 0 []  ""`},
		{"no body with 304", "GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(304)
			if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
				t.Errorf("writing a body to a 304: %v", err)
			}
		}, `304 0 []  ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := send(t, plytest.NewHandlerOrigin(tt.handler), request(t, tt.method, "http://a.test/", nil))
			if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
				t.Errorf("Date: %v", err)
			}
			body := text(t, resp)
			got := fmt.Sprintf("%d %d %v %s %q", resp.StatusCode, resp.ContentLength, resp.TransferEncoding, resp.Header.Get("Content-Type"), body)
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestTrailersArriveAtTheEndOfTheBody(t *testing.T) {
	origins := map[string]*plytest.Origin{
		"script": plytest.NewOrigin(plytest.Reply{Body: "x", Trailer: http.Header{"Sum": {"1"}}}),
		"handler": plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Sum")
			io.WriteString(w, "x")
			w.Header().Set("Sum", "1")
		})),
	}
	for name, origin := range origins {
		t.Run(name, func(t *testing.T) {
			resp := send(t, origin, request(t, "GET", "http://a.test/", nil))
			if values, announced := resp.Trailer["Sum"]; !announced || len(values) > 0 {
				t.Errorf("trailer before the end: %v", resp.Trailer)
			}
			text(t, resp)
			if d := cmp.Diff(http.Header{"Sum": {"1"}}, resp.Trailer); d != "" {
				t.Errorf("trailer (-want +got):\n%s", d)
			}
			if len(resp.Header["Trailer"]) > 0 {
				t.Error("Trailer left in the header")
			}
		})
	}
}

func TestHandlerStreamsBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			rc.EnableFullDuplex()
			rc.Flush()
			io.Copy(flushing{w, rc}, r.Body)
		}))
		body, in := io.Pipe()
		resp := send(t, origin, request(t, "POST", "http://a.test/", body))
		for _, word := range []string{"one", "two"} {
			io.WriteString(in, word)
			got := make([]byte, 3)
			io.ReadFull(resp.Body, got)
			if string(got) != word {
				t.Errorf("got %q, want %q before the rest is sent", got, word)
			}
		}
		in.Close()
		text(t, resp)
	})
}

type flushing struct {
	io.Writer
	rc *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	f.rc.Flush()
	return n, err
}

func TestHandlerSeesThatItsReaderIsGone(t *testing.T) {
	leave := map[string]func(cancel func(), body io.Closer){
		"body closed":      func(_ func(), body io.Closer) { body.Close() },
		"context canceled": func(cancel func(), _ io.Closer) { cancel() },
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var wrote int
				var failed, ctxErr error
				origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for failed == nil {
						_, failed = w.Write(make([]byte, 1<<10))
						wrote++
					}
					<-r.Context().Done()
					ctxErr = r.Context().Err()
				}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				resp := send(t, origin, request(t, "GET", "http://a.test/", nil).WithContext(ctx))
				synctest.Wait()
				leave(cancel, resp.Body)
				synctest.Wait()
				if failed == nil || ctxErr == nil || wrote > 128 {
					t.Errorf("wrote %d KiB, error %v, context %v", wrote, failed, ctxErr)
				}
			})
		})
	}
}

func TestCancellationEndsEachWait(t *testing.T) {
	block := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	pr, _ := io.Pipe()
	tests := []struct {
		name  string
		reply plytest.Reply
		body  io.Reader
	}{
		{"no answer", plytest.Stall(), nil},
		{"latency", plytest.Reply{Wait: time.Hour}, nil},
		{"latency before a refusal", func() plytest.Reply { r := plytest.Refuse(); r.Wait = time.Hour; return r }(), nil},
		{"interim response", plytest.Reply{Info: []plytest.Reply{{Status: 103, Wait: time.Hour}}}, nil},
		{"handler", plytest.Handle(block), nil},
		{"request body", plytest.Status(200), pr},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var body io.Reader
				if tt.body != nil {
					body, _ = io.Pipe()
				}
				cause := errors.New("enough")
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
				defer cancel()
				start := time.Now()
				origin := plytest.NewOrigin(tt.reply)
				_, err := origin.RoundTrip(request(t, "POST", "http://a.test/", body).WithContext(ctx))
				if err != cause || time.Since(start) != time.Second {
					t.Errorf("error %v after %v, want the cause after 1s", err, time.Since(start))
				}
				if x := origin.Exchanges()[0]; x.Err != cause || !x.Canceled {
					t.Errorf("log: error %v, canceled %v", x.Err, x.Canceled)
				}
			})
		})
	}
}

func TestInvalidRequestsAreRefused(t *testing.T) {
	for _, req := range []*http.Request{
		{Header: http.Header{}, Body: &countedBody{Reader: strings.NewReader("x")}},
		{URL: &url.URL{Scheme: "http", Host: "a.test"}, Body: &countedBody{Reader: strings.NewReader("x")}},
		{URL: &url.URL{Scheme: "http"}, Header: http.Header{}, Body: &countedBody{Reader: strings.NewReader("x")}},
	} {
		resp, err := (&plytest.Origin{}).RoundTrip(req)
		if resp != nil || err == nil || req.Body.(*countedBody).closed.Load() != 1 {
			t.Errorf("got %v, %v, body closed %d times", resp, err, req.Body.(*countedBody).closed.Load())
		}
	}
}

func TestCanceledRequestIsNotSent(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("first"), plytest.Text("second"))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	body := &countedBody{Reader: strings.NewReader("content")}
	_, err := origin.RoundTrip(request(t, "POST", "http://a.test/", body).WithContext(ctx))
	x := origin.Exchanges()[0]
	if err != cause || body.closed.Load() != 1 || x.Size != 0 || !x.Canceled {
		t.Errorf("error %v, body closed %d times, %d bytes arrived, canceled %v", err, body.closed.Load(), x.Size, x.Canceled)
	}
	if got := text(t, send(t, origin, request(t, "GET", "http://a.test/", nil))); got != "first" {
		t.Errorf("the next request got %q: the canceled one used up a reply", got)
	}
}

func TestRequestBodyUnreadByTheHandlerIsRecorded(t *testing.T) {
	origin := plytest.NewHandlerOrigin(hello)
	body := &countedBody{Reader: strings.NewReader("content")}
	var hooks []string
	req := request(t, "POST", "http://a.test/", body)
	text(t, send(t, origin, req.WithContext(traced(req.Context(), &hooks))))
	if x := origin.Exchanges()[0]; string(x.Body) != "content" || body.closed.Load() != 1 {
		t.Errorf("%q arrived, body closed %d times", x.Body, body.closed.Load())
	}
	if got := strings.Join(hooks, " "); !strings.Contains(got, "WroteRequest") {
		t.Errorf("hooks %s", got)
	}

	// More than a server would read just to be polite.
	body = &countedBody{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
	text(t, send(t, origin, request(t, "POST", "http://a.test/", body)))
	if x := origin.Exchanges()[1]; x.Size >= 1<<20 || body.closed.Load() != 1 {
		t.Errorf("%d bytes arrived, body closed %d times", x.Size, body.closed.Load())
	}
}

func TestHandlerContextEndsWithTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }))
		resp := send(t, origin, request(t, "GET", "http://a.test/", nil))
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("the context of a handler that returned is alive")
		}
		if got := text(t, resp); got != "" {
			t.Errorf("body %q", got)
		}
	})
}

func TestLargeRequestBodyIsRecordedInPart(t *testing.T) {
	content := strings.Repeat("0123456789", plytest.MaxLoggedBody/10+1)
	origin := &plytest.Origin{}
	text(t, send(t, origin, request(t, "PUT", "http://a.test/", strings.NewReader(content))))
	x := origin.Exchanges()[0]
	if len(x.Body) != plytest.MaxLoggedBody || x.Size != int64(len(content)) || x.Sum != sha256.Sum256([]byte(content)) {
		t.Errorf("kept %d of %d bytes", len(x.Body), x.Size)
	}
}

func TestOriginServesConcurrentRequests(t *testing.T) {
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			want := strings.Repeat(fmt.Sprint(i), 100<<10)
			resp, err := origin.RoundTrip(request(t, "POST", "http://a.test/", strings.NewReader(want)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); string(got) != want || err != nil {
				t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
			}
			origin.Exchanges()
		})
	}
	wg.Wait()
	if origin.Count() != 50 {
		t.Errorf("counted %d", origin.Count())
	}
}

func TestPanicOfAHandlerIsRecorded(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"before the answer": func(http.ResponseWriter, *http.Request) { panic("no such item") },
		"in the answer": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("x", 10<<10))
			panic("no such item")
		},
	} {
		t.Run(name, func(t *testing.T) {
			origin := plytest.NewHandlerOrigin(handler)
			if resp, err := origin.RoundTrip(request(t, "GET", "http://a.test/", nil)); err == nil {
				io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err := origin.Exchanges()[0].Err; err == nil || !strings.Contains(err.Error(), "handler panicked: no such item") {
				t.Errorf("recorded %v", err)
			}
		})
	}
}
