package decode

import (
	"net/http"
	"slices"
)

// toDecode returns the codings to remove from the response to req. It returns none if the response has no content, a part of it only,
// or a coding that is not known: codings are removed all or not at all, so that Content-Encoding stays true.
func (h *handler) toDecode(req *http.Request, resp *http.Response) []string {
	switch {
	case req.Method == http.MethodHead, resp.Body == nil, resp.Body == http.NoBody, resp.ContentLength == 0:
		return nil
	case resp.StatusCode < 200, resp.StatusCode == http.StatusNoContent, resp.StatusCode == http.StatusNotModified:
		return nil
	case resp.StatusCode == http.StatusPartialContent: // a part of the encoded content (RFC 9110 §14.4), which begins anywhere
		return nil
	}
	codings := codingsOf(resp.Header)
	for _, coding := range codings {
		if !slices.Contains(h.codings, coding) {
			return nil
		}
	}
	return codings[:min(len(codings), maxCodings+1)] // one more than can be decoded says that there are too many
}

// encodedOnlyFields are the fields that are true of the encoded content alone: its length, the ranges that the server would give of it, and its digests.
// A Repr-Digest includes the content coding as a Content-Digest does (RFC 9530 §3, §2); an Unencoded-Digest does not, and stays.
//
// The entity tag stays as it came, as in every user agent: it is for the origin, which knows the selected representation by it (RFC 9110 §8.8.3).
// A weak one would fail every If-Match (§13.1.1). What it must not be used for, to put together parts of different bytes (§8.8.1),
// is said by Uncompressed and by the missing Accept-Ranges.
var encodedOnlyFields = []string{"Content-Encoding", "Content-Length", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// decodeResponse gives resp a decoded body and takes from it what is no longer true.
func decodeResponse(resp *http.Response, codings []string, l limits, p pools) {
	for _, name := range encodedOnlyFields {
		delete(resp.Header, name)
	}
	resp.Body = newBody(resp, codings, l, p)
	resp.ContentLength, resp.Uncompressed = -1, true
}

// dropDigests takes the digests of the encoded content from a trailer, when it has come.
func dropDigests(trailer http.Header) {
	for _, name := range encodedOnlyFields {
		delete(trailer, name)
	}
}
