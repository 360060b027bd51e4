package retry_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// The errors of quic-go, by their shapes.
type (
	h3Code      uint64
	streamCode  uint64
	transport   uint64
	versionCode uint32

	h3Error struct {
		Remote       bool
		ErrorCode    h3Code
		ErrorMessage string
		err          error
	}
	quicStreamError struct {
		StreamID  int64
		ErrorCode streamCode
		Remote    bool
	}
	quicTransportError struct {
		Remote       bool
		FrameType    uint64
		ErrorCode    transport
		ErrorMessage string
	}
	quicVersionError struct{ Ours, Theirs []versionCode }
	quicIdleTimeout  struct{}
	lookalike        struct {
		Remote    string
		ErrorCode int
	}
)

func (e *h3Error) Error() string { return "H3" }

func (e *h3Error) Unwrap() error { return e.err }

func (e *quicStreamError) Error() string { return "stream canceled" }

func (e *quicTransportError) Error() string { return "transport" }

func (e *quicVersionError) Error() string { return "no compatible QUIC version found" }

func (quicIdleTimeout) Error() string { return "timeout: no recent network activity" }

func (quicIdleTimeout) Timeout() bool { return true }

func (quicIdleTimeout) Temporary() bool { return false }

func (lookalike) Error() string { return "alike" }

// Errors that are alike, and are not those of quic-go.
type (
	senderLookalike struct {
		Remote    string
		ErrorCode uint64
	}
	codeLookalike struct {
		Remote    bool
		ErrorCode int
	}
	halfVersions  struct{ Ours []versionCode }
	otherVersions struct {
		Ours   string
		Theirs []versionCode
	}
	embedding struct{ *h3Error }
	noFields  struct{}
)

func (senderLookalike) Error() string { return "alike" }

func (codeLookalike) Error() string { return "alike" }

func (halfVersions) Error() string { return "alike" }

func (otherVersions) Error() string { return "alike" }

func (embedding) Error() string { return "alike" }

func (embedding) Unwrap() error { return nil }

func (noFields) Error() string { return "alike" }

func (*quicTransportError) Is(target error) bool { return target == net.ErrClosed }

func (*quicVersionError) Is(target error) bool { return target == net.ErrClosed }

func TestHTTP3Errors(t *testing.T) {
	const again, once = 3, 1
	for _, tt := range []struct {
		name              string
		err               error
		idempotent, other int
	}{
		{"H3_REQUEST_REJECTED", &h3Error{Remote: true, ErrorCode: 0x10b}, again, again},
		{"H3_REQUEST_REJECTED, wrapped", fmt.Errorf("h3: %w", &h3Error{Remote: true, ErrorCode: 0x10b, err: &quicStreamError{ErrorCode: 0x10b, Remote: true}}), again, again},
		{"H3_REQUEST_REJECTED of a stream", &quicStreamError{ErrorCode: 0x10b, Remote: true}, again, again},
		{"H3_REQUEST_REJECTED of our own", &h3Error{ErrorCode: 0x10b}, again, once},
		{"H3_REQUEST_CANCELLED", &h3Error{Remote: true, ErrorCode: 0x10c}, again, once},
		{"H3_INTERNAL_ERROR", &h3Error{Remote: true, ErrorCode: 0x102}, again, once},
		{"H3_NO_ERROR", &h3Error{Remote: true, ErrorCode: 0x100}, again, once},
		{"a stream that was reset", &quicStreamError{ErrorCode: 0x10c, Remote: true}, again, once},
		{"H3_EXCESSIVE_LOAD", &h3Error{Remote: true, ErrorCode: 0x107}, once, once},
		{"H3_VERSION_FALLBACK", &h3Error{Remote: true, ErrorCode: 0x110}, once, once},
		{"CONNECTION_REFUSED", &quicTransportError{Remote: true, ErrorCode: 0x2}, again, again},
		{"a TLS alert", &quicTransportError{Remote: true, ErrorCode: 0x12a}, once, once},
		{"PROTOCOL_VIOLATION", &quicTransportError{Remote: true, ErrorCode: 0xa}, again, once},
		{"no common version", &quicVersionError{}, once, once},
		{"idle timeout", &quicIdleTimeout{}, again, once},
		{"another shape", lookalike{}, once, once},
		{"a sender of another type", senderLookalike{}, once, once},
		{"a code of another type", codeLookalike{Remote: true}, once, once},
		{"versions of one side", halfVersions{}, once, once},
		{"versions of another type", otherVersions{}, once, once},
		{"fields of an embedded error", embedding{h3Error: &h3Error{Remote: true, ErrorCode: 0x107}}, once, once},
		{"no field", noFields{}, once, once},
		{"CONNECTION_REFUSED of our own", &quicTransportError{ErrorCode: 0x2}, again, once},
		{"before the TLS alerts", &quicTransportError{Remote: true, ErrorCode: 0xff}, again, once},
		{"the first TLS alert", &quicTransportError{Remote: true, ErrorCode: 0x100}, once, once},
		{"the last TLS alert", &quicTransportError{Remote: true, ErrorCode: 0x1ff}, once, once},
		{"behind the TLS alerts", &quicTransportError{Remote: true, ErrorCode: 0x200}, again, once},
	} {
		reply := plytest.Fail
		if tt.name == "CONNECTION_REFUSED" {
			reply = plytest.FailUnsent
		}
		for method, want := range map[string]int{"GET": tt.idempotent, "POST": tt.other} {
			bubble(t, func(t *testing.T) {
				got, _ := call(t, retry.Options{}, newRequest(t, method), reply(tt.err), reply(tt.err), reply(tt.err))
				if got.Requests != want {
					t.Errorf("%s, %s: sent %d times, want %d", tt.name, method, got.Requests, want)
				}
			})
		}
	}
}
