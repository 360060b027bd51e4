package field

import (
	"net/http"
	"strings"
	"time"
)

// RangeValidator returns the value for If-Range with which the rest of a response with this header may be requested, or "": a strong entity tag,
// or a modification date at least a second before Date (RFC 9110 §13.1.5, §8.8.2.2).
func RangeValidator(h http.Header) string {
	if tag := h.Get("Etag"); tag != "" {
		if strings.HasPrefix(tag, `"`) {
			return tag
		}
		return ""
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return ""
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || date.Sub(modified) < time.Second {
		return ""
	}
	return h.Get("Last-Modified")
}
