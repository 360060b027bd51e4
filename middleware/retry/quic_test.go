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
