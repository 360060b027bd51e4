package ply

import (
	"net/url"
	"strings"
)

func (c *Client) parseBase() error {
	if c.options.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(c.options.BaseURL)
	switch {
	case err != nil:
		return &OptionError{Option: "BaseURL", Reason: "cannot be parsed", Err: parseReason(err)}
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return &OptionError{Option: "BaseURL", Reason: "must be absolute and begin with http:// or https://"}
	case c.options.HTTPSOnly && u.Scheme != "https":
		return &OptionError{Option: "BaseURL", Reason: "is not https, as HTTPSOnly demands"}
	case u.RawQuery != "" || u.Fragment != "":
		return &OptionError{Option: "BaseURL", Reason: "has a query or a fragment; give parameters with Query in Defaults"}
	case u.User != nil:
		return &OptionError{Option: "BaseURL", Reason: "has credentials; give them with BasicAuth in Defaults"}
	}
	if forgotten := placeholder.FindString(u.Path); forgotten != "" {
		return &OptionError{Option: "BaseURL", Reason: "has the placeholder " + forgotten + ", which PathValue fills in the URLs of requests alone"}
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // RFC 3986 §6.2.3
	if u.Path == "" {
		u.Path = "/"
	}
	c.itself = u.ResolveReference(u)
	if !strings.HasSuffix(u.EscapedPath(), "/") {
		u.Path += "/"
		if u.RawPath != "" {
			u.RawPath += "/"
		}
	}
	c.base = u.ResolveReference(u) // without dot segments
	return nil
}

// absolute completes a relative URL with BaseURL. A URL without a path is BaseURL itself, with the URL's query if it has one (RFC 3986 §5.2.2).
func (c *Client) absolute(u *url.URL) (*url.URL, error) {
	switch {
	case c.base == nil:
		return nil, &OptionError{Option: "url", Reason: "is relative: make it absolute, or set Options.BaseURL"}
	case u.Host != "":
		return nil, &OptionError{Option: "url", Reason: "begins with //, which names another host than BaseURL's: write its scheme, or drop a slash"}
	case u.Path == "" && u.Opaque == "" && u.User == nil:
		itself := *u
		itself.Scheme, itself.Host, itself.Path, itself.RawPath = c.itself.Scheme, c.itself.Host, c.itself.Path, c.itself.RawPath
		return &itself, nil
	}
	return joinPath(c.base, u), nil
}

// joinPath joins the path of a relative URL to the path of base, which ends in a slash.
// Dot segments lead up to base and no further: a hostile identifier may contain them.
func joinPath(base, u *url.URL) *url.URL {
	if u.Host != "" || u.User != nil || u.Opaque != "" {
		return base.ResolveReference(u) // "//host/path" names another host
	}
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	kept := segments[:0]
	for i, segment := range segments {
		dots := strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") // equivalent (RFC 3986 §6.2.2.2)
		if dots != "." && dots != ".." {
			kept = append(kept, segment)
			continue
		}
		if dots == ".." && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	joined := *u
	joined.Scheme, joined.Host = base.Scheme, base.Host
	joined.RawPath = base.EscapedPath() + strings.Join(kept, "/")
	joined.Path, _ = url.PathUnescape(joined.RawPath) // no error: EscapedPath returns valid escapes
	return &joined
}
