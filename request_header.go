package ply

import (
	"net/http"
	"slices"
	"strings"
)

// SetHeader sets a header field of the request, in the place of values from defaults and Options.Header. "Host" sets Request.Host.
func SetHeader(name string, values ...string) RequestOption {
	name = http.CanonicalHeaderKey(name)
	return RequestOption{func(d *draft) error {
		if name == "Authorization" && d.auth != "" {
			return &OptionError{Option: "SetHeader", Reason: "an Authorization header combined with " + d.auth + ": give one of them"}
		}
		d.header[name] = slices.Clone(values)
		return nil
	}}
}

// OmitHeader omits header fields that would be sent otherwise: those of Options.Header and Options.Defaults,
// the User-Agent of net/http, the Content-Type of a body option, and the Accept-Encoding with which the transport asks for gzip
// (which also turns its decompression off).
func OmitHeader(names ...string) RequestOption {
	return RequestOption{func(d *draft) error {
		for _, name := range names {
			name = http.CanonicalHeaderKey(name)
			d.header[name] = nil
			if name == "Accept-Encoding" {
				d.settings.variant.identity = true
			}
		}
		return nil
	}}
}

// BasicAuth sends credentials in the Authorization header (RFC 7617). As a default they go only to the origin of Options.BaseURL
// or, without one, to the host that a request names. They never follow a redirect to another origin.
// A user name with a colon is an [*OptionError], because a server would read its rest as the password.
func BasicAuth(user, password string) RequestOption {
	return RequestOption{func(d *draft) error {
		if strings.Contains(user, ":") {
			return &OptionError{Option: "BasicAuth", Reason: "the user name contains a colon"}
		}
		req := http.Request{Header: make(http.Header)}
		req.SetBasicAuth(user, password)
		return d.authorize("BasicAuth", req.Header.Get("Authorization"))
	}}
}

// Bearer sends a token in the Authorization header (RFC 6750 §2.1), to the same servers as [BasicAuth].
func Bearer(token string) RequestOption {
	return RequestOption{func(d *draft) error { return d.authorize("Bearer", "Bearer "+token) }}
}

func (d *draft) authorize(option, value string) error {
	if d.auth != "" {
		return &OptionError{Option: option, Reason: "combined with " + d.auth + ": give one of them"}
	}
	if _, ok := d.header["Authorization"]; ok {
		return &OptionError{Option: option, Reason: "combined with an Authorization header: give one of them"}
	}
	d.auth = option
	d.header.Set("Authorization", value)
	return nil
}
