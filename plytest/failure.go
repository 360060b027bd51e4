package plytest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"syscall"
)

// failure is a reply that is an error. One that is not sent calls no WroteHeaders hook.
type failure struct {
	sent  bool
	err   func(*http.Request) error
	trace func(*httptrace.ClientTrace, *http.Request, error)
}

// Fail returns a reply that is an error after the whole request was sent: it is unknown whether the server processed it.
func Fail(err error) Reply {
	return Reply{failure: &failure{sent: true, err: always(err)}}
}

// FailUnsent returns a reply that is an error before anything was sent.
func FailUnsent(err error) Reply {
	return Reply{failure: &failure{err: always(err)}}
}

// ResetConnection returns a reply that is a connection reset after the whole request was sent and before any response:
// a [*net.OpError] with ECONNRESET.
func ResetConnection() Reply {
	return Reply{failure: &failure{sent: true, err: func(*http.Request) error { return resetError() }}}
}

// Refuse returns a reply that is a refused connection: a [*net.OpError] of Op "dial" with ECONNREFUSED. Nothing is sent.
func Refuse() Reply {
	return Reply{failure: &failure{
		err: func(req *http.Request) error {
			return &net.OpError{Op: "dial", Net: "tcp", Addr: addr(req.URL), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		},
		trace: func(t *httptrace.ClientTrace, req *http.Request, err error) {
			if t.ConnectStart != nil {
				t.ConnectStart("tcp", addr(req.URL).String())
			}
			if t.ConnectDone != nil {
				t.ConnectDone("tcp", addr(req.URL).String(), err)
			}
		},
	}}
}

// NoSuchHost returns a reply that is a name unknown to the DNS (NXDOMAIN):
// a [*net.OpError] of Op "dial" with a [*net.DNSError]. Nothing is sent.
func NoSuchHost() Reply {
	return Reply{failure: &failure{
		err: func(req *http.Request) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
				Err: "no such host", Name: req.URL.Hostname(), IsNotFound: true,
			}}
		},
		trace: func(t *httptrace.ClientTrace, req *http.Request, err error) {
			if t.DNSStart != nil {
				t.DNSStart(httptrace.DNSStartInfo{Host: req.URL.Hostname()})
			}
			if t.DNSDone != nil {
				t.DNSDone(httptrace.DNSDoneInfo{Err: errors.Unwrap(err)})
			}
		},
	}}
}

// FailHandshake returns a reply that is a TLS handshake which the server broke off (alert handshake_failure).
// Nothing of the request is sent.
func FailHandshake() Reply {
	const handshakeFailure = tls.AlertError(40)
	return failTLS(&net.OpError{Op: "remote error", Err: handshakeFailure})
}

// BadCertificate returns a reply that is a server certificate from an unknown authority:
// a [*tls.CertificateVerificationError]. Nothing of the request is sent.
func BadCertificate() Reply {
	return failTLS(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}})
}

func failTLS(err error) Reply {
	return Reply{failure: &failure{
		err: always(err),
		trace: func(t *httptrace.ClientTrace, _ *http.Request, err error) {
			if t.TLSHandshakeStart != nil {
				t.TLSHandshakeStart()
			}
			if t.TLSHandshakeDone != nil {
				t.TLSHandshakeDone(tls.ConnectionState{}, err)
			}
		},
	}}
}

// RefuseStream returns a reply that is an HTTP/2 stream refused by the server before it did anything
// (RST_STREAM with REFUSED_STREAM, RFC 9113 §8.7), so the request may be sent again whatever its method.
// As with net/http's own, [errors.As] finds a StreamError of golang.org/x/net/http2 in it.
func RefuseStream() Reply {
	const refusedStream = 7
	return Reply{failure: &failure{sent: true, err: always(streamError{StreamID: 1, Code: refusedStream})}}
}

type errCode uint32

// streamError has the fields of an HTTP/2 stream error, which is how errors.As recognises one from another package.
type streamError struct {
	StreamID uint32
	Code     errCode
	Cause    error
}

func (e streamError) Error() string {
	return fmt.Sprintf("stream error: stream ID %d; REFUSED_STREAM", e.StreamID)
}

func (e streamError) As(target any) bool {
	dst, src := reflect.ValueOf(target).Elem(), reflect.ValueOf(e)
	if dst.Kind() != reflect.Struct || dst.NumField() != src.NumField() {
		return false
	}
	for i := range src.NumField() {
		from, to := src.Type().Field(i), dst.Type().Field(i)
		if from.Name != to.Name || !from.Type.ConvertibleTo(to.Type) {
			return false
		}
	}
	for i := range src.NumField() {
		dst.Field(i).Set(src.Field(i).Convert(dst.Field(i).Type()))
	}
	return true
}

func always(err error) func(*http.Request) error {
	return func(*http.Request) error { return err }
}

func resetError() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}

// addr returns the address of a host: every name resolves to 192.0.2.1 (RFC 5737).
func addr(u *url.URL) *net.TCPAddr {
	ip := net.ParseIP(u.Hostname())
	if ip == nil {
		ip = net.IPv4(192, 0, 2, 1)
	}
	port, _ := strconv.Atoi(port(u))
	return &net.TCPAddr{IP: ip, Port: port}
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
