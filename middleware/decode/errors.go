package decode

import (
	"errors"
	"fmt"
)

// What is wrong with content, beside [io.ErrUnexpectedEOF] for content that is cut short, and the errors of decoders. [ContentError] has one of them.
var (
	// ErrTrailingData: more bytes follow the end of the content. All of the content has been read by then.
	ErrTrailingData = errors.New("other bytes follow the end of the content")

	// ErrWindowSize: the content needs more memory than a decoder has to have. For zstd that is a window of 8 MiB (RFC 9659 §3).
	ErrWindowSize = errors.New("the window is larger than 8 MiB, which a content coding may not ask for")

	// ErrTooManyCodings: the Content-Encoding has more than four codings.
	ErrTooManyCodings = errors.New("more than four codings")
)

// ContentError says that a body is not what the Content-Encoding of its response says. It comes from reading the body.
// It quotes nothing of the content.
type ContentError struct {
	Coding string // the coding at fault: "gzip"
	Err    error  // ErrTrailingData and others, io.ErrUnexpectedEOF, or the error of the decoder
}

func (e *ContentError) Error() string { return "decode: " + e.Coding + ": " + e.Err.Error() }

func (e *ContentError) Unwrap() error { return e.Err }

// LimitError says that a body grows beyond what Options.MaxBytes or Options.MaxRatio allow. It comes from reading the body,
// which has given MaxBytes bytes by then, or, of a ratio that is too large, those before it was seen.
type LimitError struct {
	MaxBytes int64 // the limit on bytes that was reached; 0 if it was the other one
	MaxRatio int   // the limit on the ratio that was exceeded; 0 if it was the other one
	Coding   string
	Encoded  int64 // bytes that had come from the server
}

func (e *LimitError) Error() string {
	if e.MaxRatio > 0 {
		return fmt.Sprintf("decode: %s: the content grows by more than the factor %d, as one that was made to exhaust its reader does: "+
			"raise Options.MaxRatio, or use decode.WithMaxRatio, if the server is to be trusted", e.Coding, e.MaxRatio)
	}
	return fmt.Sprintf("decode: %s: the content exceeds the limit of %d bytes: raise Options.MaxBytes, or use decode.WithMaxBytes", e.Coding, e.MaxBytes)
}
