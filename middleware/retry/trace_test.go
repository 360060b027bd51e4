package retry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"testing"
)

type lateError struct{ error }

func (lateError) Timeout() bool   { return true }
func (lateError) Temporary() bool { return true }

// What proves that no server has seen the request: only then is one that is not idempotent sent again.
func TestProofThatARequestWasNotSent(t *testing.T) {
	plain := errors.New("x")
	at := func(u string) error { return &url.Error{Op: "Post", URL: u, Err: plain} }
	req := &http.Request{URL: &url.URL{Scheme: "http", Host: "a.test", Path: "/p"}}
	for _, tt := range []struct {
		name   string
		trace  *trace
		err    error
		f      failure
		unsent bool
	}{
		{"refused", &trace{asked: "a", got: true, wrote: true}, plain, failureRefused, true},
		{"refused after an answer", &trace{asked: "a", answered: true}, plain, failureRefused, false},
		{"refused by one of two servers", &trace{asked: "a", several: true}, plain, failureRefused, false},

		{"dial failed", &trace{asked: "a"}, plain, failureUnsent, true},
		{"dial failed after a write", &trace{asked: "a", wrote: true}, plain, failureUnsent, false},
		{"dial failed after an answer", &trace{asked: "a", answered: true}, plain, failureUnsent, false},
		{"dial failed, untraced", &trace{}, plain, failureUnsent, true},
		{"dial failed, untraced, at this URL", &trace{}, at("http://a.test/p?n=1"), failureUnsent, true},
		{"dial failed, untraced, at another path", &trace{}, at("http://a.test/q"), failureUnsent, false},
		{"dial failed, untraced, at another host", &trace{}, at("http://b.test/p"), failureUnsent, false},
		{"dial failed, untraced, at no URL", &trace{}, at("http://a.test/%zz"), failureUnsent, false},
		{"dial failed, traced, at another host", &trace{asked: "b"}, at("http://b.test/p"), failureUnsent, true},

		{"untraced", &trace{}, plain, failureUnknown, false},
		{"untraced, lost", &trace{}, plain, failureLost, false},
		{"untraced, a layer says so", &trace{kept: true}, plain, failureUnknown, true},
		{"a layer says so after a write", &trace{kept: true, asked: "a", wrote: true}, plain, failureUnknown, false},

		{"no connection", &trace{asked: "a"}, plain, failureUnknown, true},
		{"no connection in time", &trace{asked: "a"}, plain, failureTimeout, true},
		{"no connection before the caller left", &trace{asked: "a"}, context.Canceled, failureUnknown, true},
		{"connection, nothing written", &trace{asked: "a", got: true}, plain, failureUnknown, true},
		{"connection, timeout", &trace{asked: "a", got: true}, plain, failureTimeout, false},
		{"connection, an error that is late, too", &trace{asked: "a", got: true}, lateError{plain}, failureLost, false},
		{"connection, the caller left", &trace{asked: "a", got: true}, context.Canceled, failureUnknown, false},
	} {
		if got := tt.trace.unsent(req, tt.err, tt.f); got != tt.unsent {
			t.Errorf("%s: unsent is %v", tt.name, got)
		}
	}
	read := &trace{}
	read.read.Store(true)
	if read.unsent(req, plain, failureUnsent) {
		t.Error("a body that was read was not sent")
	}
	if none := (&trace{}); !none.unsent(&http.Request{}, at("http://b.test/p"), failureUnsent) {
		t.Error("a request without a URL was redirected")
	}
}

func TestAddressesOfAnAttempt(t *testing.T) {
	for _, tt := range []struct {
		asked   []string
		several bool
	}{
		{[]string{"a:80"}, false}, {[]string{"a:80", "a:80"}, false}, {[]string{"a:80", "b:80"}, true}, {[]string{"a:80", "b:80", "b:80"}, true},
	} {
		var tr trace
		for _, address := range tt.asked {
			tr.getConn(address)
		}
		if tr.several != tt.several {
			t.Errorf("%v: several is %v", tt.asked, tr.several)
		}
	}
	var tr trace
	tr.getConn("a:80")
	tr.gotConn(httptrace.GotConnInfo{})
	if tr.unsent(&http.Request{}, errors.New("x"), failureTimeout) {
		t.Error("a timeout on a connection is no proof")
	}
	if tr.watched(nil) != nil || tr.watched(http.NoBody) != http.NoBody {
		t.Error("an empty body is watched")
	}
}
