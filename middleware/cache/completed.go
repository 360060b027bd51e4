package cache

import (
	"io"
	"net/http"
	"slices"
	"strconv"
)

// completed takes in the answer to a request for missing bytes: together with the stored part it is the whole.
// A part that does not fit is dropped, and the whole fetched.
func (p *reply) completed(d decision) (*http.Response, error) {
	part := p.selected
	switch p.StatusCode {
	case http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable:
		return p.refetch(d, "the stored part does not fit")
	default:
		return p.take(d, p.StatusCode), nil
	}
	rest, ok := completes(part, p.Header)
	if p.misattributed() {
		return p.refetch(d, credentialsBelow)
	}
	if !ok || p.followed || p.ContentLength >= 0 && p.ContentLength != rest.size() {
		return p.refetch(d, "the stored part does not fit")
	}
	have := part.content(p.request)
	if stored, ok := have.(*pieceReader); ok {
		stored.origin = p.next
	}
	bodies := []io.Reader{have, &exactly{p.Body, rest.size()}}
	if rest.first == 0 {
		slices.Reverse(bodies)
	}
	p.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bodies...), closers{p.Body, have}}
	sent := p.Header
	p.Header = freshenedHeader(part.header, sent, p.received)
	addCookies(p.Header, sent)
	delete(p.Header, "Content-Range")
	p.Header["Content-Length"] = []string{strconv.FormatInt(rest.complete, 10)}
	p.StatusCode, p.Status, p.ContentLength, p.TransferEncoding = http.StatusOK, "200 OK", rest.complete, nil
	return p.take(d, http.StatusPartialContent), nil
}

// closers closes all of several bodies. The error is the first one's.
type closers []io.Closer

func (c closers) Close() (err error) {
	for i, closer := range c {
		if failed := closer.Close(); i == 0 {
			err = failed
		}
	}
	return err
}
