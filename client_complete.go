package ply

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/target"
)

// complete adds base URL, query, header fields, cookies and credentials to out, which may be the caller's req itself.
func (c *Client) complete(out, req *http.Request) (*http.Request, error) {
	own := func() {
		if out == req {
			out = req.WithContext(req.Context())
		}
	}
	u, err := c.completeURL(req)
	if err != nil {
		return nil, err
	}
	if u != req.URL {
		own()
		out.URL = u
		if out.Host == "" {
			out.Host = u.Host
		}
	}
	if header := c.completeHeader(out); header != nil {
		own()
		out.Header = header
	}
	if out.Header == nil {
		own()
		out.Header = make(http.Header) // http.RoundTripper promises layers a header
	}
	return out, nil
}

// completeURL returns the URL of req itself if there is nothing to add.
func (c *Client) completeURL(req *http.Request) (*url.URL, error) {
	u := req.URL
	if !u.IsAbs() {
		var err error
		if u, err = c.absolute(u); err != nil {
			return nil, err
		}
	}
	if query := target.EscapedQuery(u.RawQuery); query != u.RawQuery {
		escaped := *u
		escaped.RawQuery = query
		u = &escaped
	}
	if len(c.defaults.query) == 0 {
		return u, nil
	}
	given, trusted := u.Query(), c.isFirstParty(req, u)
	var missing []string
	for _, q := range c.defaults.query {
		for pair := range strings.SplitSeq(q, "&") {
			name, _, _ := strings.Cut(pair, "=")
			name, err := url.QueryUnescape(name)
			if err == nil && given.Has(name) || !trusted && !slices.Contains(c.options.CrossOrigin, name) {
				continue
			}
			missing = append(missing, pair)
		}
	}
	if len(missing) == 0 {
		return u, nil
	}
	more := *u
	addQuery(&more, missing...)
	return &more, nil
}

// completeHeader returns the header that req should have, nil if it is the one that it has.
func (c *Client) completeHeader(req *http.Request) http.Header {
	var header http.Header
	set := func(name string, values []string) {
		if header == nil {
			if header = req.Header.Clone(); header == nil {
				header = make(http.Header)
			}
		}
		header[name] = values
	}
	trusted := c.isFirstParty(req, req.URL)
	for name, values := range c.defaults.header {
		if !c.takesDefault(req, name, trusted) {
			continue
		}
		set(name, slices.Clone(values))
		if name == "Referer" && !trusted {
			trimReferer(&http.Request{URL: req.URL, Header: header})
		}
	}
	if cookies := c.missingCookies(req); trusted && cookies != "" {
		if given := cookiesIn(req.Header); len(given) > 0 {
			cookies = cookieField(given) + "; " + cookies
		}
		set("Cookie", []string{cookies})
	}
	if forCallersOrigin(req) && !hasField(req.Header, "Authorization") && !hasField(header, "Authorization") {
		if value := c.netrcAuth(req.URL); value != "" {
			set("Authorization", []string{value})
		}
	}
	return header
}

// takesDefault reports whether req gets the default field name.
func (c *Client) takesDefault(req *http.Request, name string, trusted bool) bool {
	switch {
	case hasField(req.Header, name),
		!trusted && !fieldCrosses(name, c.options.CrossOrigin),
		name == "Authorization" && req.URL.User != nil,
		name == "Expect" && (req.Body == nil || req.Body == http.NoBody): // RFC 9110 §10.1.1
		return false
	}
	return true
}

// isFirstParty reports whether req, which is for u, may carry defaults that may be secret: u has the origin of BaseURL, and no redirect has left it.
func (c *Client) isFirstParty(req *http.Request, u *url.URL) bool {
	return (c.base == nil || sameOrigin(u, c.base)) && forCallersOrigin(req)
}

// forCallersOrigin reports whether req is for the origin that its caller named: neither a redirect nor the link of a page has led away from it.
func forCallersOrigin(req *http.Request) bool {
	if s := settingsOf(req.Context()); s != nil && s.awayFromHome {
		return false
	}
	return staysAtOrigin(req)
}

// hasField reports whether header has the field name, which is canonical, in any case: a map that was filled by hand need not be canonical.
func hasField(header http.Header, name string) bool {
	if _, ok := header[name]; ok {
		return true
	}
	for n := range header {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func (c *Client) missingCookies(req *http.Request) string {
	if len(c.defaults.cookies) == 0 {
		return ""
	}
	if values, given := req.Header["Cookie"]; given && values == nil {
		return "" // OmitHeader
	}
	given := cookiesIn(req.Header)
	var more []cookie
	for _, c := range c.defaults.cookies {
		if !hasCookie(given, c.name) {
			more = append(more, c)
		}
	}
	return cookieField(more)
}

// netrcAuth returns the Authorization that the netrc file has for the host of u, or "" if there is none or u has credentials of its own.
func (c *Client) netrcAuth(u *url.URL) string {
	if c.netrc == nil || u.User != nil {
		return ""
	}
	login, password, ok := c.netrc.Lookup(u.Hostname())
	if !ok {
		return ""
	}
	r := http.Request{Header: make(http.Header)}
	r.SetBasicAuth(login, password)
	return r.Header.Get("Authorization")
}

func withOwnHeader(req *http.Request) *http.Request {
	header := req.Header.Clone()
	if header == nil {
		header = make(http.Header) // a call layer may have made the request without one
	}
	req = req.WithContext(req.Context())
	req.Header = header
	return req
}
