package retry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/plyhttp/ply/internal/timeout"
)

// failure is what an error of a transport means for a retry.
type failure int8

const (
	failureUnknown failure = iota
	failureUnsent          // the request never reached the server
	failureRefused         // the server says that it has not processed the request
	failureLost            // the connection broke; the server may have done the work
	failureTimeout         // no answer in time
	failureFatal           // the next attempt would fail in the same way
)

// unsent reports whether f means that no server has processed the request.
func (f failure) unsent() bool { return f == failureUnsent || f == failureRefused }

// failureOf classifies an error as it appears below http.Client, by its type where it has one.
func failureOf(err error) failure {
	for _, kind := range []func(error) failure{asAnswer, asTLS, asDNS, asDial, asHTTP2, asHTTP3, asTimeout, asLost} {
		if f := kind(err); f != failureUnknown {
			return f
		}
	}
	return failureUnknown
}

// asAnswer asks an error that has a method RetryableError. An answer of true does not mean that nothing was sent.
func asAnswer(err error) failure {
	var answer interface{ RetryableError() bool }
	if !errors.As(err, &answer) {
		return failureUnknown
	}
	if answer.RetryableError() {
		return failureLost
	}
	return failureFatal
}

func asTLS(err error) failure {
	if is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) || is[tls.AlertError](err) || is[*tls.ECHRejectionError](err) ||
		is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) || is[x509.CertificateInvalidError](err) ||
		is[x509.SystemRootsError](err) || is[x509.ConstraintViolationError](err) || is[x509.UnhandledCriticalExtension](err) {
		return failureFatal
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return failureFatal
	}
	// crypto/tls reports alerts, which another attempt would meet again, under these two operations, inside that of a proxy if there is one.
	for op, ok := as[*net.OpError](err); ok; op, ok = as[*net.OpError](op.Err) {
		if op.Op == "remote error" || op.Op == "local error" {
			return failureFatal
		}
	}
	return failureUnknown
}

func asDNS(err error) failure {
	dns, ok := as[*net.DNSError](err)
	switch {
	case !ok:
		return failureUnknown
	case dns.IsNotFound || !dns.IsTemporary && !dns.IsTimeout:
		return failureFatal
	}
	return failureUnsent
}

func asDial(err error) failure {
	op, ok := as[*net.OpError](err)
	if !ok || op.Op != "dial" && op.Op != "proxyconnect" {
		return failureUnknown
	}
	if is[*net.AddrError](op.Err) || is[net.UnknownNetworkError](op.Err) || is[*net.ParseError](op.Err) || is[net.InvalidAddrError](op.Err) {
		return failureFatal
	}
	return failureUnsent
}

// streamError has the shape that net/http copies its HTTP/2 stream errors into when asked with errors.As.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (streamError) Error() string { return "HTTP/2 stream error" }

// The error codes of RFC 9113 §7 that matter here.
const (
	refusedStream   = 0x7
	http11Required  = 0xd
	inadequateTLS   = 0xc
	enhanceYourCalm = 0xb
)

func asHTTP2(err error) failure {
	if stream, ok := as[streamError](err); ok {
		switch stream.Code {
		case refusedStream:
			return failureRefused // RFC 9113 §8.7
		case http11Required, inadequateTLS, enhanceYourCalm:
			return failureFatal
		}
		return failureLost
	}
	return asText(err)
}

// asText recognizes the errors of net/http that only their text identifies.
func asText(err error) failure {
	text := err.Error()
	if refusedByProxy(text) {
		return failureFatal
	}
	if strings.Contains(text, "http2: request header list larger than peer's advertised limit") {
		return failureFatal
	}
	if strings.Contains(text, "http2: Transport received Server's graceful shutdown GOAWAY") {
		return failureRefused // only streams above the last processed one get it
	}
	for _, unprocessed := range []string{
		"http2: client conn not usable",
		"http2: client conn could not be established",
		"http2: no cached connection was available",
	} {
		if strings.Contains(text, unprocessed) {
			return failureUnsent
		}
	}
	for _, lost := range []string{
		"http2: server sent GOAWAY and closed the connection",
		"http2: client connection lost",
		"http2: client connection force closed",
		"http: server closed idle connection",
		"http: server closed connection",
	} {
		if strings.Contains(text, lost) {
			return failureLost
		}
	}
	return failureUnknown
}

// refusedByProxy recognizes the error of net/http for a proxy that answers CONNECT with a 4xx, which is the reason phrase alone.
// Another attempt changes nothing, and a proxy may lock an account after a few 407s.
func refusedByProxy(text string) bool {
	for _, status := range []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusProxyAuthRequired,
	} {
		if text == http.StatusText(status) {
			return true
		}
	}
	return false
}

func asTimeout(err error) failure {
	// The caller's own deadline was checked before. This one is of a layer below.
	if late, ok := as[net.Error](err); ok && late.Timeout() || timeout.Named(err) {
		return failureTimeout
	}
	return failureUnknown
}

func asLost(err error) failure {
	for _, lost := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ECONNREFUSED,
	} {
		if errors.Is(err, lost) {
			return failureLost
		}
	}
	if op, ok := as[*net.OpError](err); ok && (op.Op == "read" || op.Op == "write") {
		return failureLost
	}
	return failureUnknown
}

func as[T error](err error) (T, bool) {
	var target T
	ok := errors.As(err, &target)
	return target, ok
}

func is[T error](err error) bool {
	_, ok := as[T](err)
	return ok
}
