package tape_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/plyhttp/ply/plytest/tape"
)

func TestFailureErrSatisfiesWhatProgramsAsk(t *testing.T) {
	op := func(name string) func(error) bool {
		return func(err error) bool {
			var e *net.OpError
			return errors.As(err, &e) && e.Op == name
		}
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	dns := func(found bool) func(error) bool {
		return func(err error) bool {
			var e *net.DNSError
			return errors.As(err, &e) && e.IsNotFound == found
		}
	}
	certificate := func(err error) bool {
		var e *tls.CertificateVerificationError
		return errors.As(err, &e)
	}
	alert := func(err error) bool {
		var e tls.AlertError
		return errors.As(err, &e)
	}
	for _, tt := range []struct {
		kind     tape.FailureKind
		text     string
		answered bool
		timeout  bool
		checks   []func(error) bool
	}{
		{kind: tape.FailureTimeout, timeout: true, checks: []func(error) bool{is(os.ErrDeadlineExceeded), op("dial")}},
		{kind: tape.FailureTimeout, answered: true, timeout: true, checks: []func(error) bool{is(os.ErrDeadlineExceeded), op("read")}},
		{kind: tape.FailureDeadline, timeout: true, checks: []func(error) bool{is(context.DeadlineExceeded)}},
		{kind: tape.FailureCanceled, checks: []func(error) bool{is(context.Canceled)}},
		{kind: tape.FailureRefused, checks: []func(error) bool{is(syscall.ECONNREFUSED), op("dial")}},
		{kind: tape.FailureReset, answered: true, checks: []func(error) bool{is(syscall.ECONNRESET), op("read")}},
		{kind: tape.FailureEOF, checks: []func(error) bool{is(io.EOF)}},
		{kind: tape.FailureEOF, answered: true, checks: []func(error) bool{is(io.ErrUnexpectedEOF)}},
		{kind: tape.FailureDNS, text: "lookup x: no such host", checks: []func(error) bool{dns(true), op("dial")}},
		{kind: tape.FailureDNS, text: "lookup x: server misbehaving", checks: []func(error) bool{dns(false)}},
		{kind: tape.FailureTLS, text: "tls: failed to verify certificate", checks: []func(error) bool{certificate}},
		{kind: tape.FailureTLS, text: "remote error: tls: handshake failure", checks: []func(error) bool{alert}},
		{kind: tape.FailureClosed, answered: true, checks: []func(error) bool{is(tape.ErrClosed)}},
		{kind: "unheard of", text: "boom"},
	} {
		f := tape.Failure{Kind: tt.kind, Text: tt.text}
		err := f.Err(tt.answered)
		for i, check := range tt.checks {
			if !check(err) {
				t.Errorf("%s (answered %v): check %d fails for %#v", tt.kind, tt.answered, i, errors.Unwrap(err))
			}
		}
		want := tt.kind
		if want == "unheard of" {
			want = tape.FailureOther
		}
		if kind := tape.KindOf(err, tt.answered); kind != want {
			t.Errorf("%s (answered %v): the kind of its error is %s", tt.kind, tt.answered, kind)
		}
		var n net.Error
		if !errors.As(err, &n) || n.Timeout() != tt.timeout {
			t.Errorf("%s: Timeout is not %v", tt.kind, tt.timeout)
		}
		if err.Error() == "" || tt.text != "" && err.Error() != tt.text {
			t.Errorf("%s: text is %q, not %q", tt.kind, err, tt.text)
		}
	}
}
