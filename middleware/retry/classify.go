package retry

import (
	"net/http"
	"time"
)

// A Verdict is what a [Rule] says about an attempt.
type Verdict int8

// The verdicts. Unknown leaves the matter to the next rule; after the last rule it means no.
const (
	Undecided Verdict = iota
	Retry             // send again, if body, attempts, budget and deadline allow it
	Final             // what came is the answer
)

// A Rule says whether an attempt should be followed by another.
// It must not block, change the request, or read or close the response's body, and it must not keep a.
type Rule func(a *Attempt) Verdict

// Attempt is what a [Rule] knows of one attempt: either Response or Err is set.
type Attempt struct {
	Request    *http.Request // as sent
	Response   *http.Response
	Err        error
	Number     int           // counts from 1
	Idempotent bool          // safe to send twice, by method, key or [WithIdempotent]
	Wrote      bool          // false only if the request provably never left
	Duration   time.Duration // to the response's header, or to the error
}

// DefaultRule is the rule behind all others: the table in docs/retry.md.
// It never answers [Undecided]. Errors that it does not know are final.
func DefaultRule(a *Attempt) Verdict {
	if a.Err != nil {
		return defaultError(a)
	}
	switch a.Response.StatusCode {
	case http.StatusMisdirectedRequest:
		// The server did not look at the request, but may do the same again (RFC 9110 §15.5.20).
		return yes(a.Number == 1)
	case http.StatusTooManyRequests:
		return Retry
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return yes(a.Idempotent)
	}
	return Final
}

func defaultError(a *Attempt) Verdict {
	switch failureOf(a.Err) {
	case failureUnsent, failureRefused, failureLost, failureTimeout:
		return yes(a.Idempotent || !a.Wrote)
	case failureUnknown:
		return yes(!a.Wrote)
	}
	return Final
}

func yes(ok bool) Verdict {
	if ok {
		return Retry
	}
	return Final
}

// StatusRule answers v for the given statuses, whatever the method.
func StatusRule(v Verdict, statuses ...int) Rule {
	return func(a *Attempt) Verdict {
		if a.Response != nil {
			for _, status := range statuses {
				if a.Response.StatusCode == status {
					return v
				}
			}
		}
		return Undecided
	}
}

// Retry503 retries any method after a 503 with Retry-After,
// for servers that say so only when they have not begun with the request.
func Retry503(a *Attempt) Verdict {
	if a.Response != nil && a.Response.StatusCode == http.StatusServiceUnavailable && a.Response.Header.Get("Retry-After") != "" {
		return Retry
	}
	return Undecided
}

// NoRetry429 keeps requests that are not idempotent from being sent again after a 429,
// for servers that say so after they have begun with the request.
func NoRetry429(a *Attempt) Verdict {
	if a.Response != nil && a.Response.StatusCode == http.StatusTooManyRequests && !a.Idempotent {
		return Final
	}
	return Undecided
}

// judge asks the rules in order, and says whether the answer is that of one of them and not of Default.
func judge(a *Attempt, rules []Rule) (v Verdict, ruled bool) {
	for _, rule := range rules {
		if v := rule(a); v != Undecided {
			return v, true
		}
	}
	return DefaultRule(a), false
}

// IsIdempotent reports whether req is safe to send twice: by its method (RFC 9110 §9.2.2), by an Idempotency-Key field, or by [WithIdempotent].
// It is what the layer goes by, for other layers that send a request more than once.
func IsIdempotent(req *http.Request) bool {
	return scopeOf(req.Context()).idempotent || idempotent(req)
}

// idempotent reports whether req is safe to send twice by its method (RFC 9110 §9.2.2; QUERY is safe by its definition),
// or by a key. A key field without values marks a request without sending anything, as it does for [http.Transport].
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete, "QUERY":
		return true
	}
	return hasKey(req.Header)
}

func hasKey(h http.Header) bool {
	if _, ok := h["Idempotency-Key"]; ok {
		return true
	}
	_, ok := h["X-Idempotency-Key"]
	return ok
}
