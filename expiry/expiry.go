package expiry

import (
	"net/http"
	"time"
)

// A Strategy decides how long a response stays fresh. It must be safe for concurrent use.
type Strategy interface {
	Expiry(Exchange) Verdict
}

// An Exchange is the request and the response that a [Strategy] decides on. A strategy must neither change nor retain them.
type Exchange struct {
	Request  *http.Request  // as the caller sent it; its body must not be read
	Response *http.Response // status and header; after a validation, the updated header. Its body must not be read
	Now      time.Time      // when the response was received

	// Shared reports whether the cache serves more than one user (RFC 9111 §1.2.2). Then s-maxage counts.
	Shared bool

	// PerRequest is what the caller chose for this request, or nil.
	PerRequest Strategy

	// Targeted lists the fields that are obeyed before Cache-Control, first one first (RFC 9213).
	Targeted []string
}

// Func is a [Strategy] that is a function of the request, the response and the time of receipt.
type Func func(r *http.Request, resp *http.Response, now time.Time) Verdict

// Expiry calls f.
func (f Func) Expiry(x Exchange) Verdict {
	return f(x.Request, x.Response, x.Now)
}

type strategyFunc func(Exchange) Verdict

func (f strategyFunc) Expiry(x Exchange) Verdict { return f(x) }
