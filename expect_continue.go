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

// repeatUnexpecting sends a request once more, without the expectation that a server refused with a 417 (RFC 9110 §10.1.1).
// It returns refused, the 417, if the body cannot be sent again.
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

// ExpectContinue sends Expect: 100-continue, so that the server can refuse a request before its body is sent (RFC 9110 §10.1.1).
// The transport waits up to its ExpectContinueTimeout for the server's answer. Requests without content do not send the field.
// After a 417 (Expectation Failed) the request is sent once more without it, if its body can be sent again.
func ExpectContinue() RequestOption {
	return RequestOption{func(d *draft) error {
		d.header.Set("Expect", "100-continue")
		return nil
	}}
}
