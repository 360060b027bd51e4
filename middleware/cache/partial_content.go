package cache

import (
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// completed handles the answer to a request for missing bytes: with the stored part it makes the whole (RFC 9111 §3.4).
// If the parts do not fit, it fetches the whole.
func (p *originResponse) completed(d rfc9111.Decision) (*http.Response, error) {
	part := p.selected
	switch p.StatusCode {
	case http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable:
		return p.refetch(d, "the stored part does not fit")
	default:
		return p.passOn(d, p.StatusCode), nil
	}
	rest, ok := rfc9111.Completes(part, p.Header)
	if why := p.misattribution(); why != "" {
		return p.refetch(d, why)
	}
	if !ok || p.followed || p.ContentLength >= 0 && p.ContentLength != rest.Size() {
		return p.refetch(d, "the stored part does not fit")
	}
	have := part.Content(p.request)
	if stored, ok := have.(*durable.ChunkReader); ok {
		stored.Origin = p.next
	}
	bodies := []io.Reader{have, &stream.ExactReader{Reader: p.Body, Left: rest.Size()}}
	if rest.First == 0 {
		slices.Reverse(bodies)
	}
	p.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bodies...), closers{p.Body, have}}
	sent := p.Header
	if why := rfc9111.UnstorableUpdate(sent, rfc9111.CarriedBy(p.request)|p.watch.carries(), &p.cache.policy); why != "" && p.apart == "" {
		p.setApart(why)
	}
	p.Header = rfc9111.FreshenedHeader(part.Header, sent, p.received, nil)
	rfc9111.AddCookies(p.Header, sent)
	delete(p.Header, "Content-Range")
	p.Header["Content-Length"] = []string{strconv.FormatInt(rest.Complete, 10)}
	p.StatusCode, p.Status, p.ContentLength, p.TransferEncoding = http.StatusOK, "200 OK", rest.Complete, nil
	return p.passOn(d, http.StatusPartialContent), nil
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
