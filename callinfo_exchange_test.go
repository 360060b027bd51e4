package ply_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// phases returns the names of the phases that occurred in an exchange, in order.
func phaseTimer(t *testing.T, x ply.CallExchange) []string {
	t.Helper()
	var happened []string
	last := x.Span.Start
	for _, p := range []struct {
		name string
		span ply.CallSpan
	}{{"dns", x.DNS}, {"connect", x.Connect}, {"tls", x.TLS}, {"send", x.Send}, {"answer", x.Answer}} {
		if p.span == (ply.CallSpan{}) {
			continue
		}
		if happened = append(happened, p.name); p.span.Start < last || p.span.Duration < 0 {
			t.Errorf("%s is from %v to %v, and what was before it from %v", p.name, p.span.Start, p.span.End(), last)
		}
		last = p.span.Start // the answer may begin before the transport says that the request has been sent
	}
	return happened
}

func TestRecordHasThePhasesOfExchanges(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for _, name := range []string{"Client", "http.Client"} {
			t.Run(version+" "+name, func(t *testing.T) {
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
				server.EnableHTTP2 = version == "HTTP/2.0"
				server.StartTLS()
				defer server.Close()
				transport := server.Client().Transport
				d := recordable(t, transport)[name]()

				req, err := http.NewRequestWithContext(ply.WithCallInfo(t.Context()), http.MethodPost, server.URL, strings.NewReader("some bytes"))
				require.NoError(t, err)
				resp, err := d.Do(req)
				text, err := ply.Text(resp, err)
				require.NoError(t, err)
				i, _ := ply.CallInfoFrom(resp)
				x := i.Hops[0].Exchanges[0]
				if diff := cmp.Diff([]string{"connect", "tls", "send", "answer"}, phaseTimer(t, x)); diff != "" {
					t.Errorf("phases (-want +got)\n%s", diff)
				}
				if x.Reused || x.Proto != version || x.Remote != server.Listener.Addr().String() || x.Queue.Duration < x.Connect.Duration+x.TLS.Duration {
					t.Errorf("got %+v", x)
				}
				if x.Sent != 10 || i.Hops[0].Received != 10 || text != "some bytes" {
					t.Errorf("%d bytes sent, %d received, %q", x.Sent, i.Hops[0].Received, text)
				}

				again := recorded(t, d, server.URL).Hops[0].Exchanges[0]
				if diff := cmp.Diff([]string{"send", "answer"}, phaseTimer(t, again)); diff != "" || !again.Reused {
					t.Errorf("the second one has %+v\n(-want +got)\n%s", again, diff)
				}
			})
		}
	}
}

// A transport sends the content again if a connection turns out to be dead: what was sent is as much as the furthest reading of it.
func TestContentThatIsSentAgainIsCountedOnce(t *testing.T) {
	for _, first := range []int{0, 4, 10} {
		transport := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			io.CopyN(io.Discard, r.Body, int64(first))
			r.Body.Close()
			again, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			defer again.Close()
			io.Copy(io.Discard, again)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
		})
		for name, d := range recordable(t, transport) {
			req, err := http.NewRequestWithContext(ply.WithCallInfo(t.Context()), http.MethodPost, "http://a.test/", strings.NewReader("some bytes"))
			require.NoError(t, err)
			resp, err := d().Do(req)
			require.NoError(t, ply.Discard(resp, err))
			i, _ := ply.CallInfoFrom(resp)
			require.EqualValues(t, 10, i.Hops[0].Exchanges[0].Sent, "%s, after %d bytes", name, first)
		}
	}
}

func TestResumedDownloadIsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Reply{Body: "0123456789", Header: http.Header{"Etag": {`"v"`}, "Accept-Ranges": {"bytes"}}, Fault: plytest.ResetAfter(4)},
			plytest.Reply{Status: http.StatusPartialContent, Body: "456789", Header: http.Header{"Etag": {`"v"`}, "Content-Range": {"bytes 4-9/10"}}})
		i := recorded(t, ply.Wrap(&http.Client{Transport: origin}, retry.New(retry.Options{Resume: 1})), "http://a.test/")
		x := i.Hops[0].Exchanges
		if len(x) != 2 || x[0].Attempt != 1 || x[0].Err == nil || x[1].Attempt != 2 || x[1].Status != 206 || i.Err != nil || i.Hops[0].Received != 10 {
			t.Errorf("got %+v\n%s", i, i)
		}
	})
}

// While a transport dials, another connection may become free: the request takes it, and the dial goes on for later requests.
func TestDialForAnotherRequestIsNotInTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			hooks := httptrace.ContextClientTrace(r.Context())
			hooks.GetConn("a.test:80")
			time.Sleep(time.Second)
			hooks.DNSStart(httptrace.DNSStartInfo{})
			time.Sleep(time.Second)
			hooks.GotConn(httptrace.GotConnInfo{Reused: true, IdleTime: time.Minute})
			hooks.DNSDone(httptrace.DNSDoneInfo{})
			hooks.ConnectStart("tcp", "192.0.2.9:80")
			return reply(r, http.StatusOK, nil, ""), nil
		})
		x := recorded(t, ply.Wrap(&http.Client{Transport: transport}), "http://a.test/").Hops[0].Exchanges[0]
		if x.DNS != (ply.CallSpan{}) || x.Connect != (ply.CallSpan{}) || x.Remote != "" || x.Queue.Duration != 2*time.Second || x.Idle != time.Minute {
			t.Errorf("got %+v", x)
		}
	})
}

func TestAttemptThatNeverReachedTheNetworkIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		breaker := func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				if tries++; tries == 2 {
					return reply(r, http.StatusServiceUnavailable, nil, ""), nil
				}
				return next.RoundTrip(r)
			})
		}
		origin := plytest.NewOrigin(plytest.Status(http.StatusBadGateway), plytest.Text("hello"))
		i := recorded(t, newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{retryLayer, breaker}}), "http://a.test/")
		var got []string
		for _, x := range i.Hops[0].Exchanges {
			got = append(got, fmt.Sprint(x.Attempt, x.Status, x.Send.Start > 0 || x.Send.Duration > 0 || x.Remote != ""))
		}
		if len(got) != 3 || !strings.HasPrefix(got[1], "2 503 false") {
			t.Errorf("got %v", got)
		}
		x := i.Hops[0].Exchanges
		if !slices.IsSortedFunc(x, func(a, b ply.CallExchange) int { return int(a.Span.Start - b.Span.Start) }) {
			t.Errorf("not in order: %+v", x)
		}
	})
}

// withToken returns a layer that fetches a token through the layers below before each request, and then waits.
func withToken(wait time.Duration) ply.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			fetch, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://a.test/token", nil)
			if err != nil {
				return nil, err
			}
			resp, err := next.RoundTrip(fetch)
			if err != nil {
				return nil, err
			}
			resp.Body.Close()
			select {
			case <-time.After(wait):
				return next.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
	}
}

// ends returns how each exchange ended.
func ends(h ply.CallHop) (ends []string) {
	for _, x := range h.Exchanges {
		end := http.StatusText(x.Status)
		if x.Err != nil {
			end += "!"
		}
		ends = append(ends, end)
	}
	return ends
}

// An attempt has several exchanges if a layer below retry sends other requests. Its error belongs to the exchange that failed.
func TestErrorIsRecordedWithItsExchange(t *testing.T) {
	tests := []struct {
		name  string
		paths map[string][]plytest.Reply
		layer ply.Middleware
		want  []string
	}{
		{"after the token, while waiting for a turn", map[string][]plytest.Reply{"/token": {plytest.Status(200)}}, withToken(time.Hour), []string{"OK", "!"}},
		{"the token", map[string][]plytest.Reply{"/token": {plytest.Stall()}}, withToken(0), []string{"!"}},
		{"after the token, the request itself", map[string][]plytest.Reply{"/token": {plytest.Status(200)}, "/": {plytest.Stall()}}, withToken(0), []string{"OK", "!"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, ply.Options{Transport: &plytest.Origin{Paths: tt.paths}, Use: []ply.Middleware{retry.New(retry.Options{}), tt.layer}, Timeouts: ply.Timeouts{Total: time.Second}})
				ctx := ply.WithCallInfo(t.Context())
				_, err := c.Get(ctx, "http://a.test/")
				require.Error(t, err)
				i, _ := ply.CallInfoFromContext(ctx)
				require.Equal(t, tt.want, ends(i.Hops[0]), "%s", i)
				require.Equal(t, time.Second, i.Hops[0].Header.Duration)
			})
		})
	}
}

// The broken body is that of the final response, not of the 401 before it.
func TestBrokenBodyIsRecordedWithItsExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err != nil || resp.StatusCode != http.StatusUnauthorized {
					return resp, err
				}
				resp.Body.Close()
				return next.RoundTrip(r)
			})
		}
		header := []string{"ETag", `"1"`, "Accept-Ranges", "bytes", "Content-Type", "text/plain"}
		broken := plytest.Text("0123456789", header...)
		broken.Fault = plytest.CutAfter(4)
		rest := plytest.Status(206, "ETag", `"1"`, "Content-Range", "bytes 4-9/10")
		rest.Body = "456789"
		c := newClient(t, ply.Options{
			Transport: plytest.NewOrigin(plytest.Status(401), broken, rest),
			Use:       []ply.Middleware{retry.New(retry.Options{Resume: 1}), again},
		})
		i := recorded(t, c, "http://a.test/")
		require.Equal(t, []string{"Unauthorized", "OK!", "Partial Content"}, ends(i.Hops[0]), "%s", i)
	})
}
