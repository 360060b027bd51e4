package ply

import (
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Links returns the targets of the Link fields of a response by relation type, in lower case (RFC 8288 §3).
// A relative target is resolved against the URL of the request. If a relation has several targets, the first counts.
// Links about another resource (with an anchor), links that cannot be parsed, and all after a thousand relations are left out. Use it for paging:
//
//	next := ply.Links(resp)["next"] // nil on the last page
func Links(resp *http.Response) map[string]*url.URL {
	links := make(map[string]*url.URL)
	for l := range webLinks(resp.Header) {
		l.addTo(links, resp)
	}
	return links
}

// nextLink returns the first link to the next page of resp, and whether there is one. It is nil if it cannot be parsed.
func nextLink(resp *http.Response) (next *url.URL, found bool) {
	for l := range webLinks(resp.Header) {
		found = found || saysNext.MatchString(l.malformed)
		if l.anchored {
			continue
		}
		for rel := range strings.FieldsSeq(l.rel) {
			if strings.EqualFold(rel, "next") {
				return l.resolved(resp), true
			}
		}
	}
	return nil, found
}

// saysNext matches what names the relation "next" in a field that cannot be parsed.
var saysNext = regexp.MustCompile(`(?i)\brel\s*=[^;,<>]*\bnext\b`)

// webLinks are the links of a header, in order. Where a field cannot be parsed, the last one of it is what is left of the field.
func webLinks(header http.Header) iter.Seq[webLink] {
	return func(yield func(webLink) bool) {
		for _, rest := range header.Values("Link") {
			for rest = strings.TrimLeft(rest, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
				l, after, ok := cutLink(rest)
				if !ok {
					l = webLink{malformed: rest}
				}
				if !yield(l) {
					return
				}
				rest = after
			}
		}
	}
}

// webLink is a parsed link of a Link field.
type webLink struct {
	target   string
	rel      string // relation types, separated by blanks
	anchored bool

	malformed string // a piece of a field that is no link; all else is empty then
}

// maxRelations bounds the memory that a server can claim with one response: each target has a copy of the request's path.
const maxRelations = 1000

func (l webLink) addTo(links map[string]*url.URL, resp *http.Response) {
	if l.anchored {
		return
	}
	var target *url.URL
	for rel := range strings.FieldsSeq(strings.ToLower(l.rel)) {
		if links[rel] != nil || len(links) >= maxRelations {
			continue
		}
		if target == nil {
			if target = l.resolved(resp); target == nil {
				return
			}
		}
		links[rel] = target
	}
}

// resolved returns the target, resolved against the URL of the request, or nil if it cannot be parsed.
func (l webLink) resolved(resp *http.Response) *url.URL {
	target, err := url.Parse(l.target)
	if err != nil {
		return nil
	}
	if resp.Request != nil && resp.Request.URL != nil {
		return resp.Request.URL.ResolveReference(target)
	}
	return target
}

// cutLink parses the first link of a field value and returns the rest of the value. ok is false if no link can be parsed.
func cutLink(s string) (l webLink, rest string, ok bool) {
	s, found := strings.CutPrefix(s, "<")
	if !found {
		return l, "", false
	}
	if l.target, s, found = strings.Cut(s, ">"); !found {
		return l, "", false
	}
	related := false
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == ',' {
			return l, s, true
		}
		if s[0] != ';' {
			return l, "", false
		}
		var name, value string
		if name, value, s, ok = cutParam(s[1:]); !ok {
			return l, "", false
		}
		switch strings.ToLower(name) {
		case "rel":
			if !related {
				l.rel, related = value, true // a second one does not count (RFC 8288 §3.3)
			}
		case "anchor":
			l.anchored = true
		}
	}
}

// cutParam parses the parameter that s begins with and returns the rest of s. ok is false if a quoted-string is not closed.
func cutParam(s string) (name, value, rest string, ok bool) {
	end := strings.IndexAny(s, "=;,")
	if end < 0 {
		end = len(s)
	}
	name, s = strings.Trim(s[:end], " \t"), s[end:]
	if s == "" || s[0] != '=' {
		return name, "", s, true
	}
	s = strings.TrimLeft(s[1:], " \t")
	if s == "" || s[0] != '"' {
		end := strings.IndexAny(s, ";,")
		if end < 0 {
			end = len(s)
		}
		return name, strings.TrimRight(s[:end], " \t"), s[end:], true
	}
	var text strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return name, text.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		text.WriteByte(s[i])
	}
	return "", "", "", false
}
