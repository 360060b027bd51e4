package logging

import "net/http"

// mayCache tells whether a cache may stand inside. It is false only if all the layers can be seen down to a transport of net/http, and none is one:
// then a Cache-Status that claims to be from a ply cache is what a server made up. A cache would have removed that.
func mayCache(h http.RoundTripper) bool {
	for range 1000 { // a stack whose Unwrap leads back into itself has no end
		switch layer := h.(type) {
		case *http.Transport:
			return false
		case interface{ LayerName() string }:
			if layer.LayerName() == "cache" {
				return true
			}
		}
		outer, ok := h.(interface{ Unwrap() http.RoundTripper })
		if !ok {
			return true
		}
		h = outer.Unwrap()
	}
	return true
}
