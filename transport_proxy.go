package ply

import (
	"net/http"
	"net/url"
	"os"
	"strings"
)

// checkProxies returns an error for a proxy of the environment that cannot be parsed: [http.ProxyFromEnvironment] would silently ignore it.
// The error does not show the value, which may hold a password.
func checkProxies() error {
	for _, names := range [...][2]string{{"HTTP_PROXY", "http_proxy"}, {"HTTPS_PROXY", "https_proxy"}} { // in the order in which net/http looks
		for _, name := range names {
			value := os.Getenv(name)
			if value == "" {
				continue
			}
			if reason := unusableProxy(value); reason != "" {
				return &OptionError{Option: "TrustEnv", Reason: "the proxy in " + name + " cannot be used: " + reason}
			}
			break
		}
	}
	return nil
}

// unusableProxy returns what is wrong with a proxy of the environment, or "". A proxy without a scheme is an http proxy.
func unusableProxy(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		if u, err = url.Parse("http://" + value); err != nil || strings.Contains(value, "://") || strings.HasSuffix(u.Host, ":") {
			return "it is neither a URL nor host:port; escape special characters of a password"
		}
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return "its scheme must be http, https, socks5 or socks5h"
	}
	if u.Hostname() == "" {
		return "it names no host"
	}
	return ""
}

const direct = "direct"

// ProxyURL sends the request through the proxy at rawURL: an http, https or socks5 URL, with the proxy's credentials as its userinfo.
// With an empty rawURL the request is sent directly, whatever the client's default.
func ProxyURL(rawURL string) RequestOption {
	return RequestOption{func(d *draft) error {
		if rawURL == "" {
			d.settings.variant.proxy = direct
			return nil
		}
		u, err := url.Parse(rawURL)
		if err != nil {
			return &OptionError{Option: "ProxyURL", Reason: "the URL cannot be parsed", Err: parseReason(err)}
		}
		switch u.Scheme {
		case "http", "https", "socks5", "socks5h":
		default:
			return &OptionError{Option: "ProxyURL", Reason: "the URL's scheme must be http, https, socks5 or socks5h"}
		}
		if u.Host == "" {
			return &OptionError{Option: "ProxyURL", Reason: "the URL names no host"}
		}
		d.settings.variant.proxy = u.String()
		return nil
	}}
}

// ProxyConnectHeader adds header fields to the CONNECT request that the proxy gets for an https URL.
func ProxyConnectHeader(h http.Header) RequestOption {
	return RequestOption{func(d *draft) error {
		var wire strings.Builder
		if err := h.Write(&wire); err != nil {
			return err
		}
		d.settings.variant.proxyHeader = wire.String()
		return nil
	}}
}

func parseFields(wire string) http.Header {
	h := make(http.Header)
	for line := range strings.SplitSeq(strings.TrimSuffix(wire, "\r\n"), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}
