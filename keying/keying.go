// Package keying says what makes two requests the same.
//
// A cache asks a [Strategy] for the key of each request; requests with equal keys share stored responses
// (as far as Vary lets them). [Default] is the key of RFC 9111 §2 together with the credentials of the request,
// so that one cache can serve many principals. What is not keyed is shared: leave a part out only if it makes no difference to the answer.
package keying

import (
	"crypto/sha256"
	"net/http"

	"github.com/plyhttp/ply/internal/target"
)

// A Strategy writes the key of a request.
//
// AppendKey appends the key to dst and returns the extended slice, as append does. It must not retain dst or r, change r or read its body
// (see [http.Request.GetBody] for a copy that may be read), and it must be safe for concurrent use.
// An error means that this request has no key: it is not cached, and Cache-Status says why, so no secret belongs into the error.
//
// Keys are compared as a whole. A strategy that puts several parts into one key must keep them apart, by their lengths for example:
// otherwise "/a" with "bc" is "/ab" with "c". Secrets belong into a key only as a hash.
type Strategy interface {
	AppendKey(dst []byte, r *http.Request) ([]byte, error)
}

// Func is a [Strategy] made of one function.
type Func func(dst []byte, r *http.Request) ([]byte, error)

// AppendKey calls f.
func (f Func) AppendKey(dst []byte, r *http.Request) ([]byte, error) {
	return f(dst, r)
}

// Default returns the strategy that a cache uses if none is chosen: the target URI in its normal form (RFC 9111 §2, RFC 9110 §4.2.3),
// without fragment and userinfo, and a hash of the request's Authorization and Cookie fields.
// Two requests with other credentials, or one with and one without, never share a response. It allocates nothing.
//
// The price: a client that sends a new cookie with each request never hits. If it acts for one person only, see [OnePerson].
func Default() Strategy {
	return Func(func(dst []byte, r *http.Request) ([]byte, error) {
		return appendPrincipal(target.AppendURI(dst, r), r.Header), nil
	})
}

// OnePerson returns the strategy for a client that acts for one person: the target URI and nothing else.
// Requests share responses whatever their Authorization and Cookie fields say, as RFC 9111 lets private caches do,
// unless a response's Vary tells them apart.
func OnePerson() Strategy {
	return Func(func(dst []byte, r *http.Request) ([]byte, error) {
		return target.AppendURI(dst, r), nil
	})
}

// appendPrincipal appends a hash of the credentials in h, or a mark that there are none.
func appendPrincipal(dst []byte, h http.Header) []byte {
	authorization, cookie := h["Authorization"], h["Cookie"]
	if len(authorization) == 0 && len(cookie) == 0 {
		return append(dst, 0)
	}
	start := len(dst)
	dst = append(dst, "ply principal\x00"...)
	dst = appendValues(dst, authorization)
	dst = appendValues(dst, cookie)
	sum := sha256.Sum256(dst[start:])
	clear(dst[start:]) // the buffer is used again: leave no secret in it
	return append(append(dst[:start], 1), sum[:]...)
}

func appendValues(dst []byte, values []string) []byte {
	dst = append(dst, byte(len(values)>>8), byte(len(values)))
	for _, value := range values {
		dst = target.Append(dst, value)
	}
	return dst
}
