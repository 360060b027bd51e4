package retry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestDefaultRuleByOutcomeAndMethod(t *testing.T) {
	dns := func(e net.DNSError) error { return &net.OpError{Op: "dial", Net: "tcp", Err: &e} }
	const again, once = 3, 1
	rows := []struct {
		name       string
		reply      plytest.Reply
		idempotent int // requests
		other      int
	}{
		{"not written: refused", plytest.Refuse(), again, again},
		{"not written: proxy", plytest.FailUnsent(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: io.EOF}), again, again},
		{"not written: DNS temporary", plytest.FailUnsent(dns(net.DNSError{Err: "server misbehaving", IsTemporary: true})), again, again},
		{"not written: DNS timeout", plytest.FailUnsent(dns(net.DNSError{Err: "i/o timeout", IsTimeout: true})), again, again},
		{"not written: handshake broken off", plytest.FailUnsent(io.EOF), again, again},
		{"not written: handshake timeout", plytest.FailUnsent(timeoutErr{}), again, again},
		{"not written: WroteHeaders never fired", plytest.FailUnsent(errors.New("whatever")), again, again},
		{"not written: REFUSED_STREAM", plytest.RefuseStream(), again, again},
		{"not written: GOAWAY", plytest.Fail(errors.New("http2: Transport received Server's graceful shutdown GOAWAY")), again, again},

		{"fatal: NXDOMAIN", plytest.NoSuchHost(), once, once},
		{"fatal: NXDOMAIN, though temporary", plytest.FailUnsent(dns(net.DNSError{Err: "no such host", IsNotFound: true, IsTemporary: true})), once, once},
		{"fatal: DNS, not temporary", plytest.FailUnsent(dns(net.DNSError{Err: "cannot unmarshal"})), once, once},
		{"fatal: certificate", plytest.BadCertificate(), once, once},
		{"fatal: x509", plytest.FailUnsent(x509.HostnameError{Host: "example.com", Certificate: &x509.Certificate{}}), once, once},
		{"fatal: no TLS", plytest.FailUnsent(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), once, once},
		{"fatal: TLS alert", plytest.FailHandshake(), once, once},
		{"fatal: TLS alert of a proxy", plytest.FailUnsent(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}}), once, once},
		{"fatal: refused by a proxy", plytest.FailUnsent(errors.New("Proxy Authentication Required")), once, once},
		{"not written: a proxy out of order", plytest.FailUnsent(errors.New("Bad Gateway")), again, again},
		{"fatal: header too large for the server", plytest.FailUnsent(errors.New("http2: request header list larger than peer's advertised limit")), once, once},
		{"fatal: address", plytest.FailUnsent(&net.OpError{Op: "dial", Err: &net.AddrError{Err: "missing port"}}), once, once},
		{"fatal: says so", plytest.Fail(verdict(false)), once, once},
		{"fatal: says so of a dial", plytest.FailUnsent(&net.OpError{Op: "dial", Err: verdict(false)}), once, once},

		{"lost: EOF", plytest.Fail(io.EOF), again, once},
		{"lost: unexpected EOF", plytest.Fail(fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", io.ErrUnexpectedEOF)), again, once},
		{"lost: reset", plytest.ResetConnection(), again, once},
		{"lost: broken pipe", plytest.Fail(syscall.EPIPE), again, once},
		{"lost: closed", plytest.Fail(net.ErrClosed), again, once},
		{"lost: idle connection", plytest.Fail(errors.New("http: server closed idle connection")), again, once},
		{"lost: HTTP/2 connection", plytest.Fail(errors.New("http2: client connection lost")), again, once},
		{"lost: says so", plytest.Fail(verdict(true)), again, once},

		{"timeout: header", plytest.Fail(timeoutErr{}), again, once},
		{"timeout: of a layer inside", plytest.Fail(context.DeadlineExceeded), again, once},

		{"unknown", plytest.Fail(errors.New("whatever")), once, once},
		{"unknown: cancelled by a layer inside", plytest.Fail(context.Canceled), once, once},

		{"408", plytest.Status(408), again, once},
		{"425", plytest.Status(425), again, once},
		{"429", plytest.Status(429), again, again},
		{"500", plytest.Status(500), again, once},
		{"502", plytest.Status(502), again, once},
		{"503", plytest.Status(503), again, once},
		{"503 with Retry-After", plytest.RetryIn(503, time.Second), again, once},
		{"504", plytest.Status(504), again, once},
		{"421", plytest.Status(421), 2, 2},
		{"501", plytest.Status(501), once, once},
		{"505", plytest.Status(505), once, once},
		{"507", plytest.Status(507), once, once},
		{"404", plytest.Status(404), once, once},
		{"403", plytest.Status(403), once, once},
		{"302", plytest.Status(302), once, once},
		{"200", plytest.Status(200), once, once},
	}
	classes := []struct {
		idempotent bool
		methods    []string
	}{
		{true, []string{"", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"}},
		{false, []string{"POST", "PATCH", "BREW"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				for _, class := range classes {
					want := row.other
					if class.idempotent {
						want = row.idempotent
					}
					for _, method := range class.methods {
						req := newRequest(t, "POST")
						req.Method = method
						if got, _ := call(t, retry.Options{}, req, row.reply); got.Requests != want {
							t.Errorf("%s: %d requests, want %d", method, got.Requests, want)
						}
					}
				}
			})
		})
	}
}

func TestUserRulesComeBeforeDefaultRule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen []retry.Attempt
		watch := func(a *retry.Attempt) retry.Verdict { seen = append(seen, *a); return retry.Undecided }
		teapot := retry.StatusRule(retry.Retry, http.StatusTeapot)
		for _, tt := range []struct {
			name   string
			method string
			rules  []retry.Rule
			reply  plytest.Reply
			want   result
		}{
			{"yes", "POST", []retry.Rule{watch, teapot}, plytest.Status(418), result{3, 418, retry.StopAttempts}},
			{"the first answer counts", "POST", []retry.Rule{retry.StatusRule(retry.Final, 418), teapot}, plytest.Status(418), result{1, 418, retry.StopDone}},
			{"no", "GET", []retry.Rule{retry.StatusRule(retry.Final, 503)}, plytest.Status(503), result{1, 503, retry.StopRule}},
			{"unknown", "GET", []retry.Rule{watch}, plytest.Status(503), result{3, 503, retry.StopAttempts}},
			{"even a success", "GET", []retry.Rule{retry.StatusRule(retry.Retry, 202)}, plytest.Status(202), result{3, 202, retry.StopAttempts}},
			{"429 with work done", "POST", []retry.Rule{retry.NoRetry429}, plytest.Status(429), result{1, 429, retry.StopRule}},
			{"429 with work done, idempotent", "GET", []retry.Rule{retry.NoRetry429}, plytest.Status(429), result{3, 429, retry.StopAttempts}},
			{"503 without work done", "POST", []retry.Rule{retry.Retry503}, plytest.RetryIn(503, time.Second), result{3, 503, retry.StopAttempts}},
			{"another status with Retry-After", "POST", []retry.Rule{retry.Retry503}, plytest.RetryIn(202, time.Second), result{1, 202, retry.StopDone}},
			{"an error, asked by the rules for a status", "POST", []retry.Rule{retry.Retry503, retry.NoRetry429, teapot}, plytest.ResetConnection(), result{1, 0, retry.StopMethod}},
			{"final for another status", "POST", []retry.Rule{retry.StatusRule(retry.Final, 418)}, plytest.Status(200), result{1, 200, retry.StopDone}},
			{"retried for another status", "POST", []retry.Rule{teapot}, plytest.Status(200), result{1, 200, retry.StopDone}},
			{"final for another status, a 503", "GET", []retry.Rule{retry.StatusRule(retry.Final, 418)}, plytest.Status(503), result{3, 503, retry.StopAttempts}},
			{"the second of several statuses", "POST", []retry.Rule{retry.StatusRule(retry.Retry, 404, 418)}, plytest.Status(418), result{3, 418, retry.StopAttempts}},
			{"421 is no 429", "POST", []retry.Rule{retry.NoRetry429}, plytest.Status(421), result{2, 421, retry.StopAttempts}},
			{"503 without Retry-After", "POST", []retry.Rule{retry.Retry503}, plytest.Status(503), result{1, 503, retry.StopMethod}},
		} {
			got, err := call(t, retry.Options{Rules: tt.rules}, newRequest(t, tt.method), tt.reply)
			if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != (tt.want.Status == 0) {
				t.Errorf("%s (-want +got)\n%s%v", tt.name, diff, err)
			}
		}
		if len(seen) < 3 || seen[2].Number != 3 || seen[2].Request == nil || seen[2].Response == nil || seen[2].Idempotent || !seen[2].Wrote {
			t.Errorf("a rule saw %+v", seen)
		}
		seen = nil
		call(t, retry.Options{Rules: []retry.Rule{watch}}, newRequest(t, "GET"), plytest.FailUnsent(errors.New("x")))
		if len(seen) != 3 || seen[0].Wrote || seen[0].Err == nil {
			t.Errorf("a rule saw %+v", seen)
		}
	})
}

// A rule may ask Default itself.
func TestDefaultRuleCalledByARule(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    retry.Attempt
		want retry.Verdict
	}{
		{"lost", retry.Attempt{Err: io.EOF, Wrote: true, Idempotent: true}, retry.Retry},
		{"lost, not idempotent", retry.Attempt{Err: io.EOF, Wrote: true}, retry.Final},
		{"unsent", retry.Attempt{Err: io.EOF}, retry.Retry},
		{"unknown", retry.Attempt{Err: errors.New("x"), Wrote: true, Idempotent: true}, retry.Final},
		{"status", retry.Attempt{Response: &http.Response{StatusCode: 502}, Idempotent: true}, retry.Retry},
	} {
		if got := retry.DefaultRule(&tt.a); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// The rules for a status through a client with a cache, on each side of their condition: what the caller got, and how often the origin was asked.
func TestStatusRulesThroughAClient(t *testing.T) {
	rules := []retry.Rule{retry.NoRetry429, retry.Retry503, retry.StatusRule(retry.Retry, 418), retry.StatusRule(retry.Final, 502)}
	for _, tt := range []struct {
		name, method string
		reply        plytest.Reply
		want         result
	}{
		{"429 after POST", "POST", plytest.Status(429), result{1, 429, ""}},
		{"429 after GET", "GET", plytest.Status(429), result{2, 200, ""}},
		{"503 with Retry-After after POST", "POST", plytest.RetryIn(503, time.Second), result{2, 200, ""}},
		{"503 after POST", "POST", plytest.Status(503), result{1, 503, ""}},
		{"418 after POST", "POST", plytest.Status(418), result{2, 200, ""}},
		{"404 after POST", "POST", plytest.Status(404), result{1, 404, ""}},
		{"502 after GET", "GET", plytest.Status(502), result{1, 502, ""}},
		{"500 after GET", "GET", plytest.Status(500), result{2, 200, ""}},
	} {
		bubble(t, func(t *testing.T) {
			c, err := cache.New(cache.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			origin := plytest.NewOrigin(tt.reply, plytest.Text("hello"))
			client, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{c.Middleware, retry.New(retry.Options{Rules: rules})}})
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(newRequest(t, tt.method))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := (result{origin.Count(), resp.StatusCode, ""}); got != tt.want {
				t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
			}
		})
	}
}
