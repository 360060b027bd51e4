package field

import (
	"net/http"
	"strconv"
)

// Controlling returns the directives that govern a cache: those of the first targeted field that is present, valid and not empty
// (RFC 9213 §2.2), else those of Cache-Control. The bool reports whether a targeted field was obeyed.
func Controlling(h http.Header, targeted []string) (Response, bool) {
	for _, name := range targeted {
		lines := h[http.CanonicalHeaderKey(name)]
		if len(lines) == 0 {
			continue
		}
		if members, ok := ParseDictionary(lines); ok && len(members) > 0 {
			return targetedResponse(members), true
		}
	}
	return ParseResponse(h["Cache-Control"]), false
}

// targetedResponse reads the members of a targeted field (RFC 9213 §2.1). A member of an unexpected type counts as absent,
// except one that restricts: with any value but false it restricts as if it had none.
func targetedResponse(members []Item) Response {
	var r Response
	for _, m := range members {
		d := Directive{Name: m.Key}
		switch value := m.Value.(type) {
		case bool:
			if !value {
				continue
			}
		case int64:
			d.Given, d.Value = true, strconv.FormatInt(value, 10)
		case string:
			d.Given, d.Quoted, d.Value = true, true, value
		case Token:
			d.Given, d.Value = true, string(value)
		default:
			d.Given = true
			if !restricts(m.Key) {
				continue
			}
		}
		if _, number := m.Value.(int64); takesSeconds(m.Key) != number && !restricts(m.Key) {
			continue
		}
		r.add(d)
	}
	r.Present = true
	return r
}

func takesSeconds(name string) bool {
	switch name {
	case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		return true
	}
	return false
}
