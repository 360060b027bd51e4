package logging

import (
	"net/http"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// CacheStatus is what a ply cache inside did for a response, by its Cache-Status field (RFC 9211 §2).
type CacheStatus struct {
	// Status is the outcome: hit, stale, revalidated, refreshed, miss, bypassed or refused.
	Status string

	// Reason is the cache's detail, or else why it forwarded the request.
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
