package target

import (
	"net/http"
	"net/url"
)

// ToProxy returns the URL that net/http asks an HTTP proxy for, if it forwards the request (RFC 9112 §3.2.2). It is made of the request's Host or the URL's Opaque
// where they are set, so it may have another host than the URL. An https URL is reached through a tunnel to its own host: then it is the URL itself.
func ToProxy(r *http.Request) (*url.URL, error) {
	switch {
	case r.URL.Scheme != "http" || (r.Host == "" || r.Host == r.URL.Host) && r.URL.Opaque == "":
		return r.URL, nil
	case r.URL.Opaque != "":
		u, err := url.Parse(r.URL.RequestURI())
		if err == nil && u.Host == "" {
			return r.URL, nil // a path
		}
		return u, err
	}
	return url.Parse(r.URL.Scheme + "://" + r.Host)
}
