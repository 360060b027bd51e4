package body

import "io"

// Decoded is a body that removes content codings, as a decode layer makes it. It is known by its method, so that no layer imports another.
// The method can be called at any time; what has it must not refer to a response.
type Decoded interface {
	// DecodedFrom returns the codings, as Content-Encoding named them, and how many encoded bytes have come so far.
	DecodedFrom() (codings string, encoded int64)
}

// maxWrapped ends a walk through a body whose Unwrap leads back into itself.
const maxWrapped = 100

// DecodedOf returns the decoded body inside rc, nil if there is none or if something that cannot be seen through is around it.
func DecodedOf(rc io.ReadCloser) Decoded {
	for range maxWrapped {
		switch b := rc.(type) {
		case Decoded:
			return b
		case interface{ Unwrap() io.ReadCloser }:
			rc = b.Unwrap()
		default:
			return nil
		}
	}
	return nil
}
