package ply

import (
	"net/url"
	"os"
	"strings"
)

// checkProxies finds a proxy of the environment that [http.ProxyFromEnvironment] would pass by in silence, because it cannot be parsed.
// Its error does not show the value, which may hold a password.
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

// unusableProxy says what is wrong with a proxy of the environment. Without a scheme it is one that speaks http.
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
