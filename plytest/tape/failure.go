package tape

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/plyhttp/ply/internal/timeout"
)

// Err returns the error to replay. Its text is Text. As far as the kind says it, it satisfies what programs ask of the error that was recorded:
//
//	timeout    os.ErrDeadlineExceeded, and net.Error with Timeout
//	deadline   context.DeadlineExceeded, and net.Error with Timeout
//	canceled   context.Canceled
//	refused    syscall.ECONNREFUSED, and *net.OpError of Op "dial"
//	reset      syscall.ECONNRESET, and *net.OpError of Op "read"
//	eof        io.ErrUnexpectedEOF, or io.EOF if no response came
//	dns        *net.DNSError, with IsNotFound if the text says "no such host"
//	tls        *tls.CertificateVerificationError if the text speaks of a certificate, and tls.AlertError otherwise
//	closed     [ErrClosed]
//
// answered reports whether there is a response whose body the failure cuts.
func (f *Failure) Err(answered bool) error {
	return &replayedError{text: f.Text, cause: f.cause(answered)}
}

// ErrClosed is the error for a read beyond what was recorded, because the caller closed the body there when it was recorded.
var ErrClosed = errors.New("tape: the recording ends here, because the caller closed the body before its end; record it again")

func (f *Failure) cause(answered bool) error {
	switch f.Kind {
	case FailureTimeout:
		op := "dial"
		if answered {
			op = "read"
		}
		return &net.OpError{Op: op, Net: "tcp", Err: os.ErrDeadlineExceeded}
	case FailureDeadline:
		return context.DeadlineExceeded
	case FailureCanceled:
		return context.Canceled
	case FailureRefused:
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case FailureReset:
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	case FailureEOF:
		if answered {
			return io.ErrUnexpectedEOF
		}
		return io.EOF
	case FailureDNS:
		return &net.OpError{Op: "dial", Net: "tcp", Err: f.dnsError()}
	case FailureTLS:
		if f.Text == "" || strings.Contains(f.Text, "certificate") || strings.Contains(f.Text, "x509") {
			return &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
		}
		return &net.OpError{Op: "remote error", Err: tls.AlertError(handshakeFailure)}
	case FailureClosed:
		return ErrClosed
	}
	return errOther
}

const handshakeFailure = 40 // the alert of RFC 8446 §6.2

func (f *Failure) dnsError() *net.DNSError {
	if f.Text == "" || strings.Contains(f.Text, "no such host") {
		return &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return &net.DNSError{Err: "server misbehaving", IsTemporary: true}
}

var errOther = errors.New("tape: recorded failure")

// replayedError has the text that was recorded and the cause that its kind stands for.
type replayedError struct {
	text  string
	cause error
}

func (e *replayedError) Error() string {
	if e.text == "" {
		return e.cause.Error()
	}
	return e.text
}

func (e *replayedError) Unwrap() error { return e.cause }

// Timeout reports whether a time limit was exceeded, as net.Error has it.
func (e *replayedError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.cause, &t) && t.Timeout()
}

// Temporary is there for net.Error only.
func (e *replayedError) Temporary() bool { return e.Timeout() }

// KindOf returns the kind of a failure with this error, for programs that make tapes of what they record themselves: [Failure.Err] gives back an error that answers
// the same questions. answered reports whether there is a response whose body the failure cuts. The error must not be nil.
func KindOf(err error, answered bool) FailureKind {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, ErrClosed): // of a replay that is recorded
		return FailureClosed
	case errors.Is(err, context.Canceled):
		return FailureCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return FailureDeadline
	case errors.As(err, &dns):
		return FailureDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return FailureRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return FailureReset
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record), errors.As(err, &alert):
		return FailureTLS
	case timeout.Is(err):
		return FailureTimeout
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF) && !answered:
		return FailureEOF
	}
	return FailureOther
}
