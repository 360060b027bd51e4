package decode

import (
	"net/http"
	"strconv"
	"strings"
)

// acceptEncoding is the field that asks for codings, each with a lower weight than the one before (RFC 9110 §12.5.3, §12.4.2).
func acceptEncoding(codings []string) string {
	var b strings.Builder
	for i, coding := range codings {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(coding)
		if i > 0 {
			b.WriteString(";q=0." + strconv.Itoa(10-i))
		}
	}
	return b.String()
}

// hasAcceptEncoding reports whether a request has an Accept-Encoding of its own, even an empty one. It then gets what the server sent:
// a program that writes the field itself expects to decode the response itself, as with net/http.
func hasAcceptEncoding(header http.Header) bool {
	if _, ok := header["Accept-Encoding"]; ok {
		return true
	}
	for name := range header { // a map can be filled by hand
		if len(name) == len("Accept-Encoding") && strings.EqualFold(name, "Accept-Encoding") {
			return true
		}
	}
	return false
}

// mayNegotiate reports whether the layer may add Accept-Encoding to a request without one. A Range counts the bytes of the content without coding (RFC 9110 §14.2),
// and the answer to a HEAD describes the content that a GET would read here, which is decoded.
func mayNegotiate(req *http.Request) bool {
	return req.Method != http.MethodHead && len(req.Header["Range"]) == 0
}

// maxCodings bounds the codings of one body. More than two are not seen in the field.
const maxCodings = 4

// codingsOf are the codings of a response in the order in which they were applied, by their registered names and without identity.
func codingsOf(header http.Header) []string {
	var codings []string
	for _, line := range header["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.Trim(name, " \t")); name {
			case "", "identity":
			case "x-gzip": // RFC 9110 §8.4.1.3
				codings = append(codings, Gzip)
			default:
				codings = append(codings, name)
			}
		}
	}
	return codings
}
