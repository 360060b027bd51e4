package ply

import (
	"net/http"
	"strings"
)

// expects reports whether req waits for a 100 (Continue).
func expects(req *http.Request) bool {
	for _, value := range req.Header["Expect"] {
		if strings.EqualFold(strings.TrimSpace(value), "100-continue") {
			return true
		}
	}
	return false
}

// repeatUnexpecting sends a request again whose expectation a server on the way doesn't know, without it, once (RFC 9110 §10.1.1).
// refused, the 417, is the response if the body cannot be had again.
func repeatUnexpecting(req *http.Request, refused *http.Response, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	if !canSendAgain(req) {
		return refused, nil
	}
	again := req.WithContext(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return refused, nil
		}
		again.Body = body
	}
	if refused.Body != nil {
		refused.Body.Close()
	}
	again.Header = req.Header.Clone()
	again.Header.Del("Expect")
	resp, err := send(again)
	if resp != nil && resp.Request == again {
		resp.Request = req
	}
	return resp, err
}

// ExpectContinue asks the server, with Expect: 100-continue, whether it wants the body before it is sent (RFC 9110 §10.1.1).
// The transport waits for the answer as long as its ExpectContinueTimeout says. A request without content does not ask.
// A 417 (Expectation Failed) has the request sent again without asking, once, if its body can be.
func ExpectContinue() RequestOption {
	return RequestOption{func(d *draft) error {
		d.header.Set("Expect", "100-continue")
		return nil
	}}
}
