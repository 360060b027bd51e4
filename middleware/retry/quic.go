package retry

import (
	"reflect"

	"github.com/plyhttp/ply/internal/timeout"
)

// The error codes of RFC 9114 §8.1 and RFC 9000 §20.1 that matter here.
const (
	h3ExcessiveLoad   = 0x107
	h3RequestRejected = 0x10b
	h3VersionFallback = 0x110

	quicConnectionRefused = 0x2
	quicCrypto            = 0x100 // and 255 more: TLS alerts
)

// asHTTP3 recognizes the errors of quic-go by their fields, because this package does not import it: http3.Error, quic.StreamError and quic.ApplicationError have a code and its sender,
// quic.TransportError has the type of a frame, too, and quic.VersionNegotiationError the versions of both sides. Timeouts have a method Timeout.
func asHTTP3(err error) (f failure) {
	timeout.Any(err, func(e error) bool {
		f = quicFailure(reflect.Indirect(reflect.ValueOf(e)))
		return f != failureUnknown
	})
	return f
}

func quicFailure(e reflect.Value) failure {
	if e.Kind() != reflect.Struct {
		return failureUnknown
	}
	remote, code := fieldOf(e, "Remote"), fieldOf(e, "ErrorCode")
	switch {
	case fieldOf(e, "Ours").Kind() == reflect.Slice && fieldOf(e, "Theirs").Kind() == reflect.Slice:
		return failureFatal
	case remote.Kind() != reflect.Bool || code.Kind() != reflect.Uint64:
		return failureUnknown
	case fieldOf(e, "FrameType").Kind() == reflect.Uint64:
		return quicTransportFailure(code.Uint(), remote.Bool())
	}
	switch code.Uint() {
	case h3RequestRejected:
		if remote.Bool() {
			return failureRefused // RFC 9114 §4.1.1
		}
	case h3ExcessiveLoad, h3VersionFallback:
		return failureFatal
	}
	return failureLost
}

func quicTransportFailure(code uint64, remote bool) failure {
	switch {
	case code == quicConnectionRefused && remote:
		return failureUnsent // RFC 9000 §20.1: there never was a connection
	case code >= quicCrypto && code <= quicCrypto+0xff:
		return failureFatal
	}
	return failureLost
}

// fieldOf returns a field of a struct that is not promoted, or the zero Value.
func fieldOf(e reflect.Value, name string) reflect.Value {
	field, ok := e.Type().FieldByName(name)
	if !ok || len(field.Index) != 1 {
		return reflect.Value{}
	}
	return e.Field(field.Index[0])
}
