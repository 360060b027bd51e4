package ply

import (
	"errors"

	"github.com/plyhttp/ply/internal/optionerror"
)

// ErrClientClosed is the error of requests that a client gets after its Close.
var ErrClientClosed = errors.New("ply: client is closed")

// ErrEmptyBody is the error of [JSON] and [Decode] for a response without content, such as a 204.
var ErrEmptyBody = errors.New("ply: response has no content")

// OptionError reports an option of a client or of a request that cannot be carried out. It comes from [New], or before anything of the request is sent.
// The type is that of [github.com/plyhttp/ply/middleware/retry.OptionError], too:
//
//	type OptionError struct {
//		Package string // the package that has the option: "retry"; empty stands for ply
//		Option  string // the option at fault: "BaseURL", "BodyJSON"
//		Reason  string // what is wrong with it and what to do; quotes no value that may be secret
//		Err     error  // the cause, or nil; Unwrap returns it
//	}
type OptionError = optionerror.Error
