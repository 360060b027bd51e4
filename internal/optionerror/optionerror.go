// Package optionerror has the error for an option that cannot be carried out. Packages with options export it under the name OptionError,
// so that errors.As finds each of them by one type.
package optionerror

import "cmp"

// Error reports an option that cannot be carried out. Its text is "package: option: reason: cause".
type Error struct {
	// Package names the package that has the option: "retry". Empty stands for ply.
	Package string

	// Option names the option at fault, as it is spelled in Go: "BaseURL", "BodyJSON", "TransportOptions.Network".
	Option string

	// Reason says what is wrong with the option and what to do about it. It quotes no value that may be secret.
	Reason string

	// Err is the cause, or nil.
	Err error
}

func (e *Error) Error() string {
	text := cmp.Or(e.Package, "ply") + ": " + e.Option + ": " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }
