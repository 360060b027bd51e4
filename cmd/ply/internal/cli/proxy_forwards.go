package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/plyhttp/ply/redact"
)

// forwardsLeft returns how often a request may still be forwarded, if it says so: TRACE and OPTIONS may (RFC 9110 §7.6.2). What is malformed says nothing.
func forwardsLeft(r *http.Request) (n uint64, limited bool) {
	values := r.Header["Max-Forwards"]
	if r.Method != http.MethodTrace && r.Method != http.MethodOptions || len(values) != 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(values[0], 10, 31)
	return n, err == nil
}

// answerAsLast answers a request that is not to be forwarded any more as its final recipient: TRACE with what came, without what may be secret (RFC 9110 §9.3.8),
// and OPTIONS with nothing, for what the origin allows is not known here (RFC 9110 §9.3.7).
func (p *proxy) answerAsLast(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Via", "1.1 "+p.name)
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set("Content-Type", "message/http")
	fmt.Fprintf(w, "%s %s %s\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Proto, r.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if redact.IsSecretHeader(name) {
			continue
		}
		for _, value := range r.Header[name] {
			fmt.Fprintf(w, "%s: %s\r\n", name, value)
		}
	}
	io.WriteString(w, "\r\n")
}
