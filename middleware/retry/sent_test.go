package retry_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// A transport that knows nothing of httptrace never fires WroteHeaders. Its silence is no proof.
func TestTransportWithoutTraceIsNoProofOfUnsent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		origin := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) { n++; req.Body.Close(); return nil, io.EOF })
		if _, err := do(t, retry.Options{}, origin, newRequest(t, "POST")); stopOf(t, err) != retry.StopMethod || n != 1 {
			t.Errorf("%d requests, %v", n, err)
		}
	})
}

// Hooks that the caller has on its context still fire.
func TestCallersClientTraceStillFires(t *testing.T) {
	var n int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteHeaders: func() { n++ }})
	call(t, retry.Options{}, newRequest(t, "POST").WithContext(ctx), plytest.Text("hello"))
	if n != 1 {
		t.Errorf("fired %d times", n)
	}
}

// What a layer below has done is told by the trace of the whole attempt, whatever type the error has that comes of it in the end.
func TestWrittenRequestIsNeverUnsent(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	goAway := errors.New("http2: Transport received Server's graceful shutdown GOAWAY")
	get := func(tr *httptrace.ClientTrace, address string) {
		tr.GetConn(address)
	}
	write := func(tr *httptrace.ClientTrace, address string) {
		tr.GetConn(address)
		tr.GotConn(httptrace.GotConnInfo{})
		tr.WroteHeaderField("Host", []string{address})
		tr.WroteHeaders()
	}
	tests := []struct {
		name   string
		does   func(tr *httptrace.ClientTrace, r *http.Request)
		err    error
		unsent bool
	}{
		{"in vain", func(tr *httptrace.ClientTrace, _ *http.Request) { get(tr, "a:80") }, dial, true},
		{"in vain, untraced", func(*httptrace.ClientTrace, *http.Request) {}, dial, true},
		{"in vain at two addresses", func(tr *httptrace.ClientTrace, _ *http.Request) { get(tr, "a:80"); get(tr, "b:80") }, dial, true},
		{"written, then another dial", func(tr *httptrace.ClientTrace, _ *http.Request) { write(tr, "a:80"); get(tr, "a:80") }, dial, false},
		{"answered, then another server", func(tr *httptrace.ClientTrace, _ *http.Request) {
			write(tr, "a:80")
			tr.GotFirstResponseByte()
			get(tr, "b:80")
		}, dial, false},
		{"another server, then written", func(tr *httptrace.ClientTrace, _ *http.Request) { get(tr, "b:80"); write(tr, "a:80") }, dial, false},
		{"half a header", func(tr *httptrace.ClientTrace, _ *http.Request) {
			tr.GetConn("a:80")
			tr.GotConn(httptrace.GotConnInfo{})
			tr.WroteHeaderField("Host", []string{"a"})
		}, errors.New("whatever"), false},
		{"no header on a connection", func(tr *httptrace.ClientTrace, _ *http.Request) {
			tr.GetConn("a:80")
			tr.GotConn(httptrace.GotConnInfo{})
		}, errors.New("whatever"), true},
		{"the body taken, untraced", func(_ *httptrace.ClientTrace, r *http.Request) { io.Copy(io.Discard, r.Body) }, dial, false},
		{"in vain, by a client that is not traced", func(*httptrace.ClientTrace, *http.Request) {}, &url.Error{Op: "Post", URL: "http://a/?n=1", Err: dial}, true},
		{"redirected by a client that is not traced", func(*httptrace.ClientTrace, *http.Request) {}, &url.Error{Op: "Post", URL: "http://b/", Err: dial}, false},
		{"redirected at its host by a client that is not traced", func(*httptrace.ClientTrace, *http.Request) {}, &url.Error{Op: "Post", URL: "http://a/b", Err: dial}, false},
		{"in vain, sent to another host", func(tr *httptrace.ClientTrace, _ *http.Request) { get(tr, "b:80") }, &url.Error{Op: "Post", URL: "http://b/", Err: dial}, true},
		{"refused by the server", func(tr *httptrace.ClientTrace, _ *http.Request) { write(tr, "a:80"); write(tr, "a:80") }, goAway, true},
		{"refused by another server", func(tr *httptrace.ClientTrace, _ *http.Request) { write(tr, "a:80"); write(tr, "b:80") }, goAway, false},
		{"answered, then refused", func(tr *httptrace.ClientTrace, _ *http.Request) {
			write(tr, "a:80")
			tr.GotFirstResponseByte()
			write(tr, "a:80")
		}, goAway, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sent := 0
				next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					sent++
					tt.does(httptrace.ContextClientTrace(r.Context()), r)
					r.Body.Close()
					return nil, tt.err
				})
				var wrote []bool
				rule := func(a *retry.Attempt) retry.Verdict {
					wrote = append(wrote, a.Wrote)
					return retry.Undecided
				}
				req, err := http.NewRequestWithContext(t.Context(), "POST", "http://a/", strings.NewReader("order"))
				if err != nil {
					t.Fatal(err)
				}
				_, err = retry.New(retry.Options{Rules: []retry.Rule{rule}})(next).RoundTrip(req)
				var failed *retry.Error
				if !errors.As(err, &failed) {
					t.Fatalf("%T is no *retry.Error", err)
				}
				want := 1
				if tt.unsent {
					want = 3
				}
				if sent != want {
					t.Errorf("sent %d times, want %d", sent, want)
				}
				if len(wrote) == 0 || wrote[0] == tt.unsent {
					t.Errorf("rules are result Wrote = %v", wrote)
				}
				if failed.Attempts[0].Unsent != tt.unsent {
					t.Errorf("Outcome.Unsent is %v", failed.Attempts[0].Unsent)
				}
			})
		})
	}
}

// A stream that cannot be sent again tells the same truth.
func TestUnsentStreamIsNotRetried(t *testing.T) {
	dial := plytest.FailUnsent(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	bubble(t, func(t *testing.T) {
		req := newRequest(t, "POST")
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("once")), nil
		got, err := call(t, retry.Options{}, req, dial)
		if diff := cmp.Diff(result{1, 0, retry.StopBody}, got); diff != "" {
			t.Error(diff)
		}
		var failed *retry.Error
		if errors.As(err, &failed); !failed.Attempts[0].Unsent {
			t.Error("Outcome.Unsent is false")
		}
	})
}

// The order was answered with a redirect, which an http.Client below follows to a server that is down.
func TestRedirectFollowedBelowIsNoProofOfUnsent(t *testing.T) {
	for _, status := range []int{301, 303, 307} {
		bubble(t, func(t *testing.T) {
			origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
				"/":        {plytest.Status(status, "Location", "http://down.test/receipt")},
				"/receipt": {plytest.FailUnsent(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})},
			}}
			client := &http.Client{Transport: origin}
			below := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) { return client.Do(r) })
			req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://a.test/", strings.NewReader("order"))
			if _, err := retry.New(retry.Options{})(below).RoundTrip(req); err == nil {
				t.Fatal("no error")
			}
			if n := origin.Count(); n != 2 {
				t.Errorf("%d: %d requests, want the order and what it leads to", status, n)
			}
		})
	}
}
