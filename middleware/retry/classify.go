package retry

import (
	"net/http"
	"time"
)

// A Verdict is the answer of a [Rule].
type Verdict int8

// The verdicts. Undecided leaves the decision to the next rule.
const (
	Undecided Verdict = iota
	Retry             // send the request again, if body, attempts, budget and deadline allow it
	Final             // return the response or the error
)

// A Rule decides whether another attempt should follow an attempt.
// It must not block, change the request, read or close the response's body, or retain a. It is called from many goroutines.
type Rule func(a *Attempt) Verdict

// Attempt describes one attempt to a [Rule]. Either Response or Err is set.
type Attempt struct {
	Request    *http.Request  // as sent
	Response   *http.Response // its body is the layer's to read and to close; nil with Err
	Err        error          // of the layers below; nil with Response
	Number     int            // counts from 1
	Idempotent bool           // the request is safe to send twice, by method, key or [WithIdempotent]
	Wrote      bool           // false only if the request was provably not written
	Duration   time.Duration  // to the response's header, or to the error
}

// DefaultRule is the rule after all others: the table in docs/retry.md.
// It never answers [Undecided]. Unknown errors are final.
func DefaultRule(a *Attempt) Verdict {
	if a.Err != nil {
		return defaultError(a)
	}
	switch a.Response.StatusCode {
	case http.StatusMisdirectedRequest:
		// The server has not processed the request, but may answer so again (RFC 9110 §15.5.20).
		return retryIf(a.Number == 1)
	case http.StatusTooManyRequests:
		return Retry
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return retryIf(a.Idempotent)
	}
	return Final
}

func defaultError(a *Attempt) Verdict {
	switch failureOf(a.Err) {
	case failureUnsent, failureRefused, failureLost, failureTimeout:
		return retryIf(a.Idempotent || !a.Wrote)
	case failureUnknown:
		return retryIf(!a.Wrote)
	}
	return Final
}

// retryIf returns Retry if ok, and Final if not.
func retryIf(ok bool) Verdict {
	if ok {
		return Retry
	}
	return Final
}

// StatusRule returns the rule that answers v for the given statuses, whatever the method, and is undecided on all else.
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

// Retry503 is the rule that retries any method after a 503 with Retry-After.
// It is for servers that send one only if they have not begun to process the request.
func Retry503(a *Attempt) Verdict {
	if a.Response != nil && a.Response.StatusCode == http.StatusServiceUnavailable && a.Response.Header.Get("Retry-After") != "" {
		return Retry
	}
	return Undecided
}

// NoRetry429 is the rule that does not retry requests that are not idempotent after a 429.
// It is for servers that send a 429 after they have begun to process the request.
func NoRetry429(a *Attempt) Verdict {
	if a.Response != nil && a.Response.StatusCode == http.StatusTooManyRequests && !a.Idempotent {
		return Final
	}
	return Undecided
}

// judge asks the rules in order. ruled reports whether the answer is that of one of them and not of DefaultRule.
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
