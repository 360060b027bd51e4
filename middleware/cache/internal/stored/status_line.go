package stored

import (
	"net/http"
	"strconv"
)

// reasons are the usual reason phrases, as net/http has them: "200 OK". They save an entry the line that its response came with.
var reasons = func() (all [600]string) {
	for status := range all {
		if text := http.StatusText(status); text != "" {
			all[status] = strconv.Itoa(status) + " " + text
		}
	}
	return all
}()

// reason returns a string equal to s that keeps nothing else in memory, if it is a usual one.
func reason(status int, s string) string {
	if status >= 0 && status < len(reasons) && reasons[status] == s {
		return reasons[status]
	}
	return s
}

// proto does the same for a protocol.
func proto(s string) string {
	for _, usual := range [...]string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "HTTP/1.0"} {
		if usual == s {
			return usual
		}
	}
	return s
}
