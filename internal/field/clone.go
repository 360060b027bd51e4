package field

import "net/http"

// Clone returns a copy of h, as its method Clone does. Its lines are in room, if they find room behind what is there: nothing else uses that from then on.
func Clone(h http.Header, room []string) http.Header {
	if h == nil {
		return nil
	}
	n := 0
	for _, lines := range h {
		n += len(lines)
	}
	if n > cap(room)-len(room) {
		room = make([]string, 0, n)
	}
	cloned := make(http.Header, len(h))
	for name, lines := range h {
		if lines == nil { // as it is: nil says something to net/http
			cloned[name] = nil
			continue
		}
		from := len(room)
		room = append(room, lines...)
		cloned[name] = room[from:len(room):len(room)]
	}
	return cloned
}
