package tape

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
)

// A run is one replay: it sends the requests, plays the callers, and measures.
type run struct {
	origin   *origin
	chain    http.RoundTripper
	exchange []*Exchange // in the order of their times
	calls    []*call
	ended    func() error // whether the caller of the replay has ended it; set before calls are sent

	mu    sync.Mutex
	times []time.Duration // how long each call took
	err   error           // the first panic of the chain
}

// settling is how long the chain has after the last answer, in virtual time, for what it does in the background. It counts in the report.
const settling = 2 * time.Minute

// replay runs in a bubble. It panics for nothing that the chain does in its goroutines.
func replay(ctx context.Context, t *Tape, o ReplayOptions) (_ *Report, err error) {
	r := &run{origin: newOrigin(t, o.Match)}
	if err := r.prepare(t); err != nil {
		return nil, err
	}
	time.Sleep(time.Until(r.origin.start))
	if err := r.build(o.Chain); err != nil {
		return nil, err
	}
	if c, ok := r.chain.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	if err := r.send(ctx); err != nil {
		return nil, err
	}
	report := r.origin.report
	report.Name, report.Start, report.Span = o.Name, r.origin.start.Add(-r.origin.shift), r.origin.now()
	report.setTimes(r.times)
	time.Sleep(settling)
	return report, nil
}

// prepare makes the requests and the timelines, and maps the tape's time to the bubble's.
func (r *run) prepare(t *Tape) error {
	for i, e := range t.Exchanges {
		if e == nil || e.Response == nil && e.Failure == nil {
			return fmt.Errorf("exchange %d of the tape has neither a response nor a failure", i)
		}
		r.exchange = append(r.exchange, e)
	}
	slices.SortStableFunc(r.exchange, func(a, b *Exchange) int { return cmp.Compare(a.At, b.At) })
	if err := r.origin.setStart(startOf(t)); err != nil {
		return err
	}
	for _, e := range r.exchange {
		if err := r.origin.checkTimes(e); err != nil {
			return fmt.Errorf("exchange at %v: %w", e.At, err)
		}
		req, err := r.request(context.Background(), e)
		if err != nil {
			return fmt.Errorf("request at %v: %w", e.At, err)
		}
		r.calls = append(r.calls, r.origin.add(e, req))
	}
	r.origin.complete()
	return nil
}

// request makes the request of an exchange, with its dates as the bubble has them.
func (r *run) request(ctx context.Context, e *Exchange) (*http.Request, error) {
	var body io.Reader
	if len(e.Request.Body) > 0 {
		body = bytes.NewReader(e.Request.Body)
	}
	req, err := http.NewRequestWithContext(ctx, e.Request.Method, e.Request.URL, body)
	if err != nil {
		return nil, err
	}
	if e.Request.Host != "" {
		req.Host = e.Request.Host
	}
	req.Trailer = e.Request.Trailer.Clone()
	if e.Request.Header != nil {
		req.Header = e.Request.Header.Clone()
	}
	for _, name := range []string{"Date", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		shiftDate(req.Header, name, r.origin.shift)
	}
	return req, nil
}

// startOf returns when a tape begins: as it says, or else by the first Date of a response, or else the zero time.
func startOf(t *Tape) time.Time {
	if !t.Start.IsZero() {
		return t.Start
	}
	for _, e := range t.Exchanges {
		if e.Response != nil {
			if d := date(e.Response.Header, "Date"); !d.IsZero() {
				return d.Add(-e.At - e.Response.Wait)
			}
		}
	}
	return time.Time{}
}

const (
	farthest = 250 * 365 * 24 * time.Hour // how far ahead of the bubble a tape can begin at its own time
	movable  = 290 * 365 * 24 * time.Hour // how far its dates can be moved: a Duration has 292 years
)

// setStart decides when the tape begins in the bubble: at its own time if that is still to come, or else now, in whole seconds, which is what dates have.
func (o *origin) setStart(start time.Time) error {
	now := time.Now()
	if start.IsZero() {
		o.start = now
		return nil
	}
	late := now.Sub(start)
	if late.Abs() > movable {
		return fmt.Errorf("the tape begins in the year %d, too far from the clock of the replay, %d: correct Tape.Start", start.Year(), now.Year())
	}
	if late > 0 || late < -farthest {
		o.shift = late.Truncate(time.Second)
		if o.shift < late {
			o.shift += time.Second
		}
	}
	o.start = start.Add(o.shift)
	return nil
}

// checkTimes refuses times that the clock of a bubble does not have. It counts nanoseconds from 1970 and ends in 2262.
func (o *origin) checkTimes(e *Exchange) error {
	const longest = 50 * 365 * 24 * time.Hour // so that their sum is a Duration
	var end time.Duration
	parts := []time.Duration{e.At}
	if r := e.Response; r != nil {
		parts = append(parts, r.Wait)
		if n := len(r.Chunks); n > 0 {
			parts = append(parts, r.Chunks[n-1].At)
		}
	}
	if e.Failure != nil {
		parts = append(parts, e.Failure.At)
	}
	for _, d := range parts {
		if d < 0 || d > longest {
			return fmt.Errorf("a time of %v, not between 0 and 50 years", d)
		}
		end += d
	}
	if o.start.Add(end).Year() > 2260 {
		return errors.New("it would end after the year 2260, when virtual time does")
	}
	return nil
}

// build makes the chain.
func (r *run) build(chain func(http.RoundTripper) (http.RoundTripper, error)) (err error) {
	r.chain = r.origin
	if chain == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the chain panicked: %v", p)
		}
	}()
	if r.chain, err = chain(r.origin); err == nil && r.chain == nil {
		err = errors.New("the chain is nil")
	}
	return err
}

// send sends each request at its time, and returns when all are answered.
func (r *run) send(ctx context.Context) error {
	r.ended = ctx.Err
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx)) // ctx's channel is not the bubble's: the clock would stand still while a goroutine waits for it
	defer cancel()
	var wg sync.WaitGroup
	for i, e := range r.exchange {
		time.Sleep(time.Until(r.origin.start.Add(e.At)))
		settle()
		if ctx.Err() != nil || r.failed() != nil {
			cancel()
			break
		}
		wg.Go(func() { r.call(inner, i) })
	}
	wg.Wait()
	if err := r.failed(); err != nil {
		return err
	}
	return ctx.Err()
}

func (r *run) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// call plays one caller.
func (r *run) call(ctx context.Context, i int) {
	defer func() {
		if p := recover(); p != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.err == nil {
				r.err = fmt.Errorf("the chain panicked: %v", p)
			}
		}
	}()
	c := r.calls[i]
	r.calls[i] = nil // what is done needs no memory
	ctx, gone := c.caller(ctx)
	defer gone()
	req, err := r.request(context.WithValue(ctx, callKey{}, c), r.exchange[i])
	if err != nil {
		panic(err) // the same request could be made when the timelines were
	}
	began := time.Now()
	resp, err := r.chain.RoundTrip(req)
	result := outcome{err: err}
	if err == nil {
		result = r.read(req, resp, c)
	}
	took := time.Since(began)
	r.mu.Lock()
	r.times = append(r.times, took)
	r.mu.Unlock()
	r.origin.count(result.add)
}

// caller returns the context of the caller. One that gave up when the tape was recorded does so again, after the same time. The function ends what waits for that.
func (c *call) caller(ctx context.Context) (context.Context, context.CancelFunc) {
	if f := c.recorded.Failure; f == nil || f.Kind != FailureDeadline && f.Kind != FailureCanceled {
		return ctx, func() {}
	}
	patience := c.recorded.Failure.At
	if c.recorded.Response != nil {
		patience += c.recorded.Response.Wait
	}
	c.gone = make(chan struct{})
	cancel := func() {}
	if c.recorded.Failure.Kind == FailureDeadline {
		ctx, cancel = context.WithTimeout(ctx, patience) // layers see the deadline
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	leave := sync.OnceFunc(func() { close(c.gone) })
	timer := time.AfterFunc(patience, func() {
		if c.recorded.Failure.Kind == FailureCanceled {
			cancel()
		}
		<-ctx.Done()
		leave()
	})
	return ctx, func() {
		timer.Stop()
		cancel()
		leave()
	}
}

// An outcome is what a caller got.
type outcome struct {
	err                              error
	bytes                            int64
	status                           int
	hit, collapsed, stale, outOfDate bool
}

func (o outcome) add(r *Report) {
	r.BytesToCallers += o.bytes
	for _, c := range []struct {
		is    bool
		count *int
	}{
		{o.err != nil, &r.Errors}, {o.status >= 500, &r.ServerErrors},
		{o.hit, &r.Hits}, {o.collapsed, &r.Collapsed}, {o.stale, &r.Stale}, {o.outOfDate, &r.OutOfDate},
	} {
		if c.is {
			*c.count++
		}
	}
}

// buffers are for what callers read.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// read reads a response as the recorded caller did, and compares it with what the origin had by the time of the request.
func (r *run) read(req *http.Request, resp *http.Response, c *call) outcome {
	defer resp.Body.Close()
	o := outcome{status: resp.StatusCode}
	o.classify(resp, c)
	compared := r.reference(req, c).comparison(resp)
	body := io.Reader(&endedBody{resp.Body, r.ended})
	if f := c.recorded.Failure; f != nil && f.Kind == FailureClosed && c.recorded.Response != nil {
		compared.partial = true
		body = io.LimitReader(body, int64(len(c.recorded.Response.Body())))
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	o.bytes, o.err = io.CopyBuffer(compared, body, *buffer)
	o.outOfDate = o.err == nil && o.status < 500 && compared.differs()
	return o
}

// endedBody is a body that ends with the context of the replay: a layer may make one that has no end.
type endedBody struct {
	io.Reader
	ended func() error
}

func (b *endedBody) Read(p []byte) (int, error) {
	if err := b.ended(); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

// classify says whether a cache answered: by the Cache-Status of a ply cache, or else because nothing was sent to the origin.
func (o *outcome) classify(resp *http.Response, c *call) {
	status, ok := cachestatus.Last(resp.Header)
	if ok && c.recorded.Response != nil && slices.Equal(resp.Header[cachestatus.Field], c.recorded.Response.Header[cachestatus.Field]) {
		ok = false // a cache wrote it when the tape was recorded
	}
	if !ok {
		o.hit = c.requests() == 0 && resp.StatusCode < 500
		return
	}
	switch status.Word() {
	case "stale":
		o.hit, o.stale = true, true
	case "hit":
		o.hit = true
	default:
		o.collapsed = status.Collapsed
	}
}

// A reference is what the origin had for a request at its time. The zero reference is unknown.
type reference struct {
	*Response
	header http.Header // of the exchange that shows it, a 304 perhaps, with the dates of the bubble
}

// reference returns what the recorded caller got, or if that was trouble, what the timeline says.
func (r *run) reference(req *http.Request, c *call) reference {
	m := c.recorded
	if m.method() != http.MethodGet && m.method() != http.MethodHead {
		return reference{}
	}
	if m.trouble() || m.Response == nil {
		m = r.origin.good[c.key].nearest(m.At, func(m *moment) bool { return m.representation != nil && sameVariant(req.Header, m.Exchange) })
	}
	if m == nil {
		return reference{}
	}
	ref := reference{m.Response, m.Response.Header}
	if m.representation != nil {
		ref.Response = m.representation.Response
	}
	if r.origin.shift != 0 {
		ref.header = ref.header.Clone()
		shiftDate(ref.header, "Last-Modified", r.origin.shift)
	}
	return ref
}

// A comparison reads a body and compares it with the reference.
type comparison struct {
	byBytes bool
	chunks  []Chunk // what is still to come
	offset  int     // in the first of them
	partial bool    // only the beginning is read
	unequal bool
}

// comparison compares by content where both have the same coding, and otherwise by their validators.
func (ref reference) comparison(resp *http.Response) *comparison {
	switch {
	case ref.Response == nil:
		return &comparison{}
	case resp.StatusCode == ref.Status && !special(ref.Status) && !sameCoding(resp, ref.Response):
		return &comparison{unequal: ref.otherValidator(resp.Header)}
	case resp.StatusCode == ref.Status && ref.Status != http.StatusNotModified:
		return &comparison{byBytes: true, chunks: ref.Chunks}
	case special(resp.StatusCode) || special(ref.Status):
		return &comparison{unequal: ref.otherValidator(resp.Header)}
	}
	return &comparison{unequal: true}
}

// otherValidator reports whether the validators say that the content is another one.
func (ref reference) otherValidator(h http.Header) bool {
	tag, want := field.ParseETag(h.Get("Etag")), field.ParseETag(ref.header.Get("Etag"))
	if tag.Opaque != "" && want.Opaque != "" {
		return !tag.WeaklyEquals(want)
	}
	changed, wantChanged := h.Get("Last-Modified"), ref.header.Get("Last-Modified")
	return changed != "" && wantChanged != "" && changed != wantChanged
}

// sameCoding reports whether the bytes of two responses can be compared.
func sameCoding(resp *http.Response, ref *Response) bool {
	head := resp.Request != nil && resp.Request.Method == http.MethodHead
	return !head && resp.Uncompressed == ref.Uncompressed && strings.EqualFold(resp.Header.Get("Content-Encoding"), ref.Header.Get("Content-Encoding"))
}

// Write compares the next bytes.
func (c *comparison) Write(p []byte) (int, error) {
	n := len(p)
	for c.byBytes && !c.unequal && len(p) > 0 {
		if len(c.chunks) == 0 {
			c.unequal = true
			break
		}
		rest := c.chunks[0].Data[c.offset:]
		k := min(len(rest), len(p))
		c.unequal = !bytes.Equal(rest[:k], p[:k])
		p = p[k:]
		if c.offset += k; k == len(rest) {
			c.chunks, c.offset = c.chunks[1:], 0
		}
	}
	return n, nil
}

// differs reports whether the content was another one.
func (c *comparison) differs() bool {
	return c.unequal || c.byBytes && !c.partial && len(c.chunks) > 0
}
