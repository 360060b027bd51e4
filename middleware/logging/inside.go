package logging

import (
	"net/http"

	"github.com/plyhttp/ply/internal/stack"
)

// mayCache reports whether a cache may stand inside h. It is false only if each layer can be seen, down to a transport of net/http, and none is a cache:
// then a Cache-Status that claims to be from a ply cache is what a server made up. A cache would have removed that.
func mayCache(h http.RoundTripper) bool {
	may, left := true, stack.Limit
	stack.Walk(h, &left, func(h http.RoundTripper) http.RoundTripper {
		switch layer := h.(type) {
		case *http.Transport:
			may = false
			return nil
		case interface{ LayerName() string }:
			if layer.LayerName() == "cache" {
				return nil
			}
		}
		return stack.Next(h)
	})
	return may
}
