package ply

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
)

// cookie is one cookie of a request: its name, and the pair as it is sent.
type cookie struct{ name, pair string }

// Cookies adds cookies to the request. Their values are sent as they are: neither shortened nor, unless a cookie is Quoted, quoted.
// A name that is no token, and a value that the field cannot hold (a semicolon, a control character, or white space at its ends), are an [*OptionError].
//
// Of several cookies with one name, the request's takes precedence over the jar's, and the jar's over a default. The jar does not store the request's.
// As defaults, cookies go where credentials would: see [BasicAuth].
func Cookies(cookies ...*http.Cookie) RequestOption {
	var own []http.Cookie
	for _, c := range cookies {
		if c != nil {
			own = append(own, *c)
		}
	}
	return RequestOption{func(d *draft) error {
		for i := range own {
			c, err := cookieOf(&own[i], "Cookie")
			if err != nil {
				return err
			}
			d.cookies = append(d.cookies, c)
		}
		return nil
	}}
}

// cookieOf formats a cookie. Unlike net/http it does not change the value: a value that cannot be sent is an error of the option.
func cookieOf(c *http.Cookie, option string) (cookie, error) {
	if !field.IsToken(c.Name) {
		return cookie{}, &OptionError{Option: option, Reason: "the name of a cookie is empty or no token (RFC 6265 §4.1.1)"}
	}
	if strings.ContainsFunc(c.Value, func(r rune) bool { return isControl(r) || r == ';' }) || strings.Trim(c.Value, " ") != c.Value && !c.Quoted {
		return cookie{}, &OptionError{Option: option, Reason: "the value of the cookie " + c.Name + " has a character that would end it, or white space around it: encode it, in base64 for instance"}
	}
	value := c.Value
	if c.Quoted {
		value = `"` + value + `"`
	}
	return cookie{c.Name, c.Name + "=" + value}, nil
}

// cookiesIn parses the Cookie field.
func cookiesIn(header http.Header) []cookie {
	var found []cookie
	for _, value := range header["Cookie"] {
		for pair := range strings.SplitSeq(value, ";") {
			if pair = strings.Trim(pair, " \t"); pair != "" {
				name, _, _ := strings.Cut(pair, "=")
				found = append(found, cookie{strings.TrimRight(name, " \t"), pair})
			}
		}
	}
	return found
}

// cookieField returns the value of the Cookie field (RFC 6265 §5.4).
func cookieField(cookies []cookie) string {
	pairs := make([]string, len(cookies))
	for i, c := range cookies {
		pairs[i] = c.pair
	}
	return strings.Join(pairs, "; ")
}

func hasCookie(cookies []cookie, name string) bool {
	return slices.ContainsFunc(cookies, func(c cookie) bool { return c.name == name })
}

// cookieJar is a layer around each hop that adds the jar's cookies and stores those of responses. It replaces the Jar of http.Client,
// which would send a default beside a cookie of the jar with the same name, and would drop bytes of values.
type cookieJar struct {
	jar      http.CookieJar
	defaults []cookie
	next     Handler
}

func (j *cookieJar) RoundTrip(req *http.Request) (*http.Response, error) {
	out, err := j.complete(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := j.next.RoundTrip(out)
	if err == nil && resp != nil {
		if learned := resp.Cookies(); len(learned) > 0 {
			for _, c := range learned {
				if !c.Quoted {
					c.Value = strings.Trim(c.Value, " \t") // RFC 6265 §5.2, which net/http leaves out; such a value could never be sent
				}
			}
			j.jar.SetCookies(cookieURL(req), learned)
		}
	}
	return resp, err
}

// complete returns a copy of req with the cookies of the jar, or req itself if they change nothing.
func (j *cookieJar) complete(req *http.Request) (*http.Request, error) {
	stored, err := j.stored(j.jar.Cookies(cookieURL(req)))
	if err != nil {
		return nil, err
	}
	given := cookiesIn(req.Header)
	sent := j.merge(req, given, stored)
	if slices.Equal(sent, given) {
		return req, nil
	}
	req = withOwnHeader(req)
	req.Header["Cookie"] = []string{cookieField(sent)}
	if len(sent) == 0 {
		delete(req.Header, "Cookie")
	}
	return req, nil
}

// cookieURL returns the URL for the jar: it has the host that the request names, as with http.Client.
func cookieURL(req *http.Request) *url.URL {
	if req.Host == "" || req.Host == req.URL.Host {
		return req.URL
	}
	named := *req.URL
	named.Host = req.Host
	return &named
}

func (j *cookieJar) stored(all []*http.Cookie) ([]cookie, error) {
	var stored []cookie
	for _, c := range all {
		written, err := cookieOf(c, "Jar")
		if err != nil {
			return nil, err
		}
		stored = append(stored, written)
	}
	return stored, nil
}

// merge decides between cookies with one name: the request's takes precedence over the stored one, unless a redirect on the way to req has set it again,
// and a default comes last. The Cookie field does not say a cookie's path, so a cookie that was set again always replaces it, as with http.Client.
func (j *cookieJar) merge(req *http.Request, given, stored []cookie) []cookie {
	var renewed []string
	for r := req.Response; r != nil; r = r.Request.Response {
		for _, c := range r.Cookies() {
			renewed = append(renewed, c.Name)
		}
		if r.Request == nil {
			break
		}
	}
	var sent []cookie
	for _, c := range given {
		isDefault := slices.Contains(j.defaults, c)
		if !slices.Contains(renewed, c.name) && !(isDefault && hasCookie(stored, c.name)) {
			sent = append(sent, c)
		}
	}
	for own := slices.Clip(sent); len(stored) > 0; stored = stored[1:] {
		if !hasCookie(own, stored[0].name) {
			sent = append(sent, stored[0])
		}
	}
	return sent
}
