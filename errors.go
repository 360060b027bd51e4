package ply

import "errors"

// ErrClientClosed is what requests of a client get after its Close.
var ErrClientClosed = errors.New("ply: client is closed")

// ErrEmptyBody is what [JSON] gives for a response without content, a 204 for instance.
var ErrEmptyBody = errors.New("ply: response has no content")

// OptionError reports options of a client or of a request that cannot be carried out.
// It comes from [New] or before anything of the request is sent.
type OptionError struct {
	// Option names the option at fault: "BaseURL", "BodyJSON".
	Option string

	// Reason says what is wrong with it and what to do. It quotes no value that may be secret.
	Reason string

	// Err is the cause, if there is one.
	Err error
}

func (e *OptionError) Error() string {
	msg := "ply: " + e.Option + ": " + e.Reason
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

func (e *OptionError) Unwrap() error { return e.Err }
