package redact

import (
	"net/url"
	"slices"
	"strings"
)

// Query returns a raw query with its values hidden, as in [Redactor.URL]. A bare token, also one with base64 padding, is hidden entirely:
// a part without a value is shown only if it is a known flag such as "acl".
func (r *Redactor) Query(raw string) string {
	if raw == "" {
		return ""
	}
	var b strings.Builder
	b.Grow(queryRoom(raw))
	r.writeQuery(&b, raw)
	return b.String()
}

// queryRoom estimates the length of a query with its values hidden.
func queryRoom(raw string) int {
	if raw == "" {
		return 0
	}
	return len(raw) + (1+strings.Count(raw, "&"))*len(Placeholder)
}

func (r *Redactor) writeQuery(b *strings.Builder, raw string) {
	part, rest, more := strings.Cut(raw, "&")
	alone := !more
	for {
		r.writeParam(b, part, alone)
		if !more {
			return
		}
		b.WriteByte('&')
		part, rest, more = strings.Cut(rest, "&")
	}
}

// writeParam writes what may be shown of one part of a query. alone says that it is the whole query.
func (r *Redactor) writeParam(b *strings.Builder, part string, alone bool) {
	key, value, named := strings.Cut(part, "=")
	empty := strings.Trim(value, "=") == ""
	switch {
	case part == "" || flags[strings.ToLower(part)]:
		b.WriteString(part)
		return
	case !named || !nameLike(key) || empty && !namesNothing(key, alone):
		b.WriteString(Placeholder)
		return
	}
	b.WriteString(printable(key))
	b.WriteByte('=')
	if r.showsParam(key) {
		b.WriteString(printable(value))
	} else {
		b.WriteString(Placeholder)
	}
}

// nameLike reports whether key is the name of a parameter and not a token, or JSON, that is followed by a "=" by chance:
// names have little punctuation, and no long stretch that mixes letters and digits.
func nameLike(key string) bool {
	name, err := url.QueryUnescape(key)
	if err != nil {
		name = key
	}
	if len(name) > 128 {
		return false
	}
	var run letters
	for _, c := range name {
		switch {
		case strings.ContainsRune(`"{}<>()\`, c):
			return false
		case strings.ContainsRune("-_.[]:$ %*~,;/@!|'", c):
			run = letters{}
		default:
			run.add(c)
		}
		if run.likeToken() {
			return false
		}
	}
	return true
}

// letters is a stretch of a name without punctuation.
type letters struct {
	length              int
	digit, upper, lower bool
}

func (l *letters) add(c rune) {
	l.length++
	switch {
	case c >= '0' && c <= '9':
		l.digit = true
	case c >= 'a' && c <= 'z':
		l.lower = true
	case c >= 'A' && c <= 'Z':
		l.upper = true
	}
}

// likeToken reports whether the stretch is too long for a word: sooner where letters and digits, or capitals too, are mixed.
func (l *letters) likeToken() bool {
	mixed := l.digit && (l.upper || l.lower)
	return l.length > 48 || mixed && l.length >= 24 || mixed && l.length >= 16 && l.upper && l.lower
}

// namesNothing reports whether key, which has no value, can be shown. Otherwise it might be a token, and its "=" base64 padding.
func namesNothing(key string, alone bool) bool {
	return flags[strings.ToLower(key)] || len(key) <= 4 || IsSecretName(key) || !alone && word(key)
}

// flags are parameters without a value, in lower case: those of the large object stores, and common ones.
var flags = set(
	"accelerate", "acl", "analytics", "append", "attributes", "block", "blocklist", "comp", "cors", "delete", "directory", "encryption", "events",
	"intelligent-tiering", "inventory", "legal-hold", "lifecycle", "list", "list-type", "location", "logging", "metadata", "metrics", "notification", "object-lock",
	"ownershipcontrols", "partnumber", "policy", "policystatus", "prefix", "publicaccessblock", "replication", "requestpayment", "restore", "retention",
	"select", "snapshot", "tagging", "tags", "torrent", "uploads", "uploadid", "versionid", "versioning", "versions", "website", "x-id",
	"all", "debug", "disco", "download", "dryrun", "dry-run", "force", "format", "help", "human", "inline", "json", "preview", "pretty", "raw", "recursive",
	"refresh", "singlewsdl", "verbose", "watch", "wsdl", "xsd",
)

// showsParam reports whether the value of a parameter may be shown. It decodes the name first: "%74oken" is "token".
func (r *Redactor) showsParam(key string) bool {
	if r == nil {
		return false
	}
	name, err := url.QueryUnescape(key)
	if err != nil || IsSecretName(name) || slices.Contains(r.HideParams, name) {
		return false
	}
	return r.HideParams != nil || slices.Contains(r.ShowParams, name)
}
