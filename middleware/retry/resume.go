package retry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/field"
)

// makeResumable gives resp a body that continues after a break, if Options.Resume and the response allow it.
func (c *call) makeResumable(resp *http.Response) {
	if c.opts.Resume == 0 || !resumable(c.req, resp) {
		return
	}
	ctx, cancel := context.WithCancel(c)
	resp.Body = &download{
		call:      c,
		ctx:       ctx,
		cancel:    cancel,
		validator: field.RangeValidator(resp.Header),
		header:    resp.Header.Clone(),
		total:     resp.ContentLength,
		left:      c.opts.Resume,
		body:      resp.Body,
	}
}

// resumable reports whether the rest of resp can be requested: resp is a whole representation, not decompressed,
// from a server that supports ranges and sent a strong validator.
func resumable(req *http.Request, resp *http.Response) bool {
	if req.Method != http.MethodGet && req.Method != "" || len(req.Header["Range"]) > 0 || hasBody(req) {
		return false
	}
	if resp.StatusCode != http.StatusOK || resp.Uncompressed || resp.Body == http.NoBody {
		return false
	}
	return acceptsBytes(resp.Header) && field.RangeValidator(resp.Header) != ""
}

func acceptsBytes(h http.Header) bool {
	for unit := range field.Members(h["Accept-Ranges"]) {
		if strings.EqualFold(unit, "bytes") {
			return true
		}
	}
	return false
}

// download is a response body that resumes where it breaks.
//
// One goroutine reads. Close may come from another one: it ends a wait, and a request in progress.
type download struct {
	call      *call
	ctx       context.Context // of the requests for the rest; ends with Close
	cancel    context.CancelFunc
	validator string
	header    http.Header // of the response

	off   int64 // bytes read so far
	total int64 // length of the whole body; -1 if unknown
	left  int   // requests for the rest that are still allowed
	err   error // ended the body; nil while it continues

	mu     sync.Mutex // guards the fields below
	body   io.ReadCloser
	closed bool
}

func (d *download) Read(p []byte) (int, error) {
	for d.err == nil {
		n, err := d.body.Read(p)
		d.off += int64(n)
		if err == io.EOF && d.off < d.total {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err == nil:
		case err == io.EOF:
			d.err = err
			d.cancel()
		default:
			d.err = err // stays if a hook panics: what follows is not the rest
			if d.resume(err) {
				d.err = nil
			} else {
				d.cancel()
			}
		}
		if n > 0 || len(p) == 0 {
			return n, nil // the next Read returns the end
		}
	}
	return 0, d.err
}

func (d *download) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.cancel()
	return d.body.Close()
}

// resume replaces a broken body by one with the rest. It reports whether that succeeded.
func (d *download) resume(broken error) bool {
	c := d.call
	c.running.Store(true)
	defer c.running.Store(false)
	defer c.letGo()
	if !d.worthwhile(broken) {
		return false
	}
	c.recordBodyError(broken)
	d.replaceBody(http.NoBody)
	for ; d.left > 0; d.left-- {
		p := c.schedule(c.tried.Response, c.sent())
		if p.stop != "" {
			return false
		}
		c.event(c.opts.OnRetry, p.wait)
		if sleep(d.ctx, p.wait) != nil {
			return false
		}
		resp, again := d.rest(p.wait)
		if resp != nil {
			d.left--
			c.settle(resp)
			c.resp, c.tried.Response = nil, nil // see finish
			return d.replaceBody(resp.Body)
		}
		if !again {
			return false
		}
	}
	return false
}

// worthwhile reports whether a request for the rest may help: the caller did not cause the break, and a retry would not meet it again.
func (d *download) worthwhile(broken error) bool {
	if d.ctx.Err() != nil || d.left == 0 {
		return false
	}
	switch failureOf(broken) {
	case failureLost, failureTimeout, failureUnsent, failureRefused:
		return true
	}
	return false
}

// recordBodyError records the error of its body as the outcome of the last attempt, which had been a response.
func (c *call) recordBodyError(err error) {
	c.tried.Response, c.tried.Err, c.failure = nil, err, failureOf(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.outcomes[len(c.outcomes)-1]
	o.Err, o.Timeout = c.redactor().Error(err), c.failure == failureTimeout
}

// rest requests the missing part. If there is no usable response, again reports whether to try once more.
func (d *download) rest(waited time.Duration) (resp *http.Response, again bool) {
	c := d.call
	r, s := c.request(d.ctx)
	h := ownHeader(r)
	h.Set("Range", "bytes="+strconv.FormatInt(d.off, 10)+"-")
	h.Set("If-Range", d.validator)
	if c.prepare(r) != nil {
		return nil, false
	}
	resp = c.resend(r, s, waited)
	attempt.Report(c.Context, c)
	if resp != nil && d.continues(resp) {
		return resp, false
	}
	v, _ := judge(&c.tried, c.opts.Rules)
	if again = v == Retry; again {
		c.drop()
	}
	return nil, again
}

// resend is send for a call that has stopped: for the layers below it is under way again.
func (c *call) resend(r *http.Request, s *attemptState, waited time.Duration) *http.Response {
	defer c.swapStop(c.swapStop(""))
	return c.send(r, s, waited)
}

// continues reports whether resp is the missing part of the same representation (RFC 9110 §15.3.7).
func (d *download) continues(resp *http.Response) bool {
	if resp.StatusCode != http.StatusPartialContent || resp.Uncompressed {
		return false
	}
	if resp.Header.Get("Content-Encoding") != d.header.Get("Content-Encoding") {
		return false
	}
	// Parts of one representation share a strong tag. A date need not be repeated (RFC 9110 §15.3.7, §15.3.7.3).
	if resp.Header.Get("Etag") != d.header.Get("Etag") {
		return false
	}
	if v := resp.Header.Get("Last-Modified"); v != "" && v != d.header.Get("Last-Modified") {
		return false
	}
	first, last, total, ok := contentRange(resp.Header.Get("Content-Range"))
	if !ok || first != d.off || d.total >= 0 && (total >= 0 && total != d.total || last >= d.total) {
		return false
	}
	if d.total = max(d.total, total); d.total < 0 {
		return false // without a total, part of the rest could pass for all of it
	}
	resp.Body = &span{ReadCloser: resp.Body, left: last + 1 - first}
	return true
}

// span is the body of a part, cut at the length that Content-Range gives.
type span struct {
	io.ReadCloser
	left int64
}

func (s *span) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// contentRange parses "bytes first-last/total"; total is -1 for "*" (RFC 9110 §14.4).
func contentRange(s string) (first, last, total int64, ok bool) {
	span, size, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	if !ok || !strings.HasPrefix(s, "bytes ") {
		return 0, 0, 0, false
	}
	from, to, ok := strings.Cut(span, "-")
	if !ok {
		return 0, 0, 0, false
	}
	first, err1 := parseOffset(from)
	last, err2 := parseOffset(to)
	total, err3 := int64(-1), error(nil)
	if size != "*" {
		total, err3 = parseOffset(size)
	}
	if err1 != nil || err2 != nil || err3 != nil || last < first || total >= 0 && last >= total {
		return 0, 0, 0, false
	}
	return first, last, total, true
}

func parseOffset(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("offset %q: %w", s, err)
	}
	return int64(n), nil
}

// replaceBody replaces the body by another one, unless Close came first. It reports whether it did.
func (d *download) replaceBody(body io.ReadCloser) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		body.Close()
		return false
	}
	d.body.Close()
	d.body = body
	return true
}
