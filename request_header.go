package ply

import (
	"net/http"
	"slices"
	"strings"
)

// SetHeader sets a header field of the request: its values replace those of defaults and of Options.Header. "Host" sets Request.Host.
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

// OmitHeader leaves out header fields that would be sent otherwise: those of Options.Header and Options.Defaults,
// the User-Agent of net/http, the Content-Type of a body option, and the Accept-Encoding with which the transport asks for gzip
// (then nothing is decompressed either).
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

// BasicAuth sends credentials in the Authorization header. As a default they go to the origin of Options.BaseURL only,
// or, without one, to the host that a request names; never along with a redirect to another origin.
// A user name with a colon is an [*OptionError]: no server could tell it from the password.
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

// Bearer sends a token in the Authorization header, where [BasicAuth] would send credentials.
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
