package logging

import (
	"net/http"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// CacheStatus is what a ply cache inside did for a response, as its Cache-Status field tells it (RFC 9211 §2).
type CacheStatus struct {
	// Status is one word: hit, stale, revalidated, refreshed, miss, bypassed or refused.
	Status string

	// Reason is why: the detail that the cache gives, or else why it asked the origin.
	Reason string
}

// cacheStatus reads the member that the nearest ply cache wrote.
func cacheStatus(resp *http.Response) CacheStatus {
	if resp == nil {
		return CacheStatus{}
	}
	status, reason := cachestatus.Of(resp.Header)
	return CacheStatus{Status: status, Reason: reason}
}
