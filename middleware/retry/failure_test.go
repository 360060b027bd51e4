package retry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// The errors of net/http that are known by their text alone, as they are, behind what a layer puts before them, and not in part.
func TestErrorsKnownByTheirText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want failure
	}{
		{"http2: request header list larger than peer's advertised limit", failureFatal},
		{"http2: Transport received Server's graceful shutdown GOAWAY", failureRefused},
		{"http2: client conn not usable", failureUnsent},
		{"http2: client conn could not be established", failureUnsent},
		{"http2: no cached connection was available", failureUnsent},
		{"http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"\"", failureLost},
		{"http2: client connection lost", failureLost},
		{"http2: client connection force closed via ClientConn.Close", failureLost},
		{"http: server closed idle connection", failureLost},
		{"http: server closed connection", failureLost},
		{"timeout exceeded", failureTimeout},
		{"http2: something new", failureUnknown},
		{"", failureUnknown},
	} {
		if got := failureOf(errors.New(tt.text)); got != tt.want {
			t.Errorf("%q is %d, want %d", tt.text, got, tt.want)
		}
		if got := failureOf(fmt.Errorf("layer: %w", errors.New(tt.text))); got != tt.want {
			t.Errorf("%q behind a prefix is %d, want %d", tt.text, got, tt.want)
		}
		if len(tt.text) > 0 {
			if got := failureOf(errors.New(tt.text[:len(tt.text)/2])); got != failureUnknown {
				t.Errorf("half of %q is %d", tt.text, got)
			}
		}
	}
}

// Of a proxy that refuses CONNECT net/http says the reason phrase alone: these end the call, other ones, and the same ones in a longer text, do not.
func TestErrorsOfARefusingProxy(t *testing.T) {
	fatal := map[int]bool{400: true, 401: true, 403: true, 404: true, 405: true, 407: true}
	for status := 100; status < 600; status++ {
		text := http.StatusText(status)
		if text == "" {
			continue
		}
		want := failureUnknown
		if fatal[status] {
			want = failureFatal
		}
		if got := failureOf(errors.New(text)); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
		if got := failureOf(errors.New("x: " + text)); got != failureUnknown {
			t.Errorf("%q in a longer text is %d", text, got)
		}
	}
}

// The errors that are known by their type.
func TestErrorsKnownByTheirType(t *testing.T) {
	cause := errors.New("cause")
	op := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err  error
		want failure
	}{
		{&tls.CertificateVerificationError{Err: cause}, failureFatal},
		{tls.RecordHeaderError{Msg: "x"}, failureFatal},
		{tls.AlertError(40), failureFatal},
		{&tls.ECHRejectionError{}, failureFatal},
		{x509.UnknownAuthorityError{}, failureFatal},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a"}, failureFatal},
		{x509.CertificateInvalidError{Cert: &x509.Certificate{}}, failureFatal},
		{x509.SystemRootsError{Err: cause}, failureFatal},
		{x509.ConstraintViolationError{}, failureFatal},
		{x509.UnhandledCriticalExtension{}, failureFatal},
		{http.ErrSchemeMismatch, failureFatal},
		{op("remote error", cause), failureFatal},
		{op("local error", cause), failureFatal},
		{op("proxyconnect", op("local error", cause)), failureFatal},
		{op("dial", cause), failureUnsent},
		{op("proxyconnect", cause), failureUnsent},
		{op("dial", &net.AddrError{Err: "x"}), failureFatal},
		{op("dial", net.UnknownNetworkError("x")), failureFatal},
		{op("dial", &net.ParseError{Type: "x", Text: "y"}), failureFatal},
		{op("dial", net.InvalidAddrError("x")), failureFatal},
		{op("read", &net.AddrError{Err: "x"}), failureLost},
		{op("read", cause), failureLost},
		{op("write", cause), failureLost},
		{op("set", cause), failureUnknown},
		{errors.New("rate: Wait(n=1) would exceed context deadline"), failureTimeout},
		{cause, failureUnknown},
	} {
		if got := failureOf(fmt.Errorf("layer: %w", tt.err)); got != tt.want {
			t.Errorf("%T %v is %d, want %d", tt.err, tt.err, got, tt.want)
		}
	}
}

func TestUnsentFailures(t *testing.T) {
	for f, want := range map[failure]bool{
		failureUnknown: false, failureUnsent: true, failureRefused: true, failureLost: false, failureTimeout: false, failureFatal: false,
	} {
		if got := f.unsent(); got != want {
			t.Errorf("failure %d: %v", f, got)
		}
	}
}

// After the statuses of overload the first wait is up to a second, and up to 100 ms otherwise: of a thousand waits one is near the bound.
func TestDefaultBackoffAfterOverload(t *testing.T) {
	for status, bound := range map[int]time.Duration{0: 100 * time.Millisecond, 500: 100 * time.Millisecond, 429: time.Second, 503: time.Second} {
		var longest time.Duration
		for range 1000 {
			longest = max(longest, defaultBackoff(1, Outcome{Status: status}))
		}
		if longest >= bound || longest < bound*9/10 {
			t.Errorf("after %d the longest of many first waits is %s, want nearly %s", status, longest, bound)
		}
	}
}

// The error codes of HTTP/2 (RFC 9113 §7).
func TestHTTP2StreamErrors(t *testing.T) {
	for code, want := range map[uint32]failure{
		0x0: failureLost, 0x1: failureLost, 0x2: failureLost, 0x3: failureLost, 0x4: failureLost, 0x5: failureLost, 0x6: failureLost,
		0x7: failureRefused, 0x8: failureLost, 0x9: failureLost, 0xa: failureLost, 0xb: failureFatal, 0xc: failureFatal, 0xd: failureFatal, 0xe: failureLost,
	} {
		if got := failureOf(streamError{StreamID: 1, Code: code}); got != want {
			t.Errorf("error code %#x is %d, want %d", code, got, want)
		}
	}
}
