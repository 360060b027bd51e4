package tape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A recording is what comes by while it is recorded. The lock guards the exchanges and all that they have; it is not held while a request or a body is under way.
type recording struct {
	begun  time.Time
	limit  int64         // of a body
	grain  time.Duration // of times; zero keeps them as they were
	strict bool          // a request whose GetBody fails is not sent

	mu        sync.Mutex
	exchanges []*Exchange
	tooLarge  *Exchange          // the first that has a body above the limit
	cut       map[*Exchange]bool // those of which the end of the response's body is left out for the limit
}

func newRecording(limit int64, grain time.Duration) *recording {
	return &recording{begun: time.Now(), limit: min(limit, math.MaxInt64-1), grain: grain, cut: map[*Exchange]bool{}}
}

// between is the time from one moment to another, in whole grains.
func (r *recording) between(from, to time.Time) time.Duration { return to.Sub(from).Truncate(r.grain) }

// keeps reports whether a body of n bytes is within the limit. r.mu is held.
func (r *recording) keeps(e *Exchange, n int64) bool {
	if n > r.limit && r.tooLarge == nil {
		r.tooLarge = e
	}
	return n <= r.limit
}

// tape returns what has come by so far. A body that is still being read ends there, as if it had been closed.
// It also returns the first exchange that has a body above the limit, or nil.
func (r *recording) tape() (t *Tape, tooLarge *Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t = &Tape{Start: r.begun.UTC().Truncate(r.grain)}
	for _, e := range r.exchanges {
		c := *e
		if c.Response == nil && c.Failure == nil {
			c.Failure = &Failure{Kind: FailureOther, Text: "the recording ended before a response came"}
		}
		if e.Response != nil {
			copied := *e.Response
			copied.Chunks = slices.Clone(copied.Chunks)
			c.Response = &copied
		}
		if e.Failure != nil {
			copied := *e.Failure // its time follows the reads of a caller
			c.Failure = &copied
		}
		if chunks := e.Response; r.cut[e] {
			c.Failure = &Failure{Kind: FailureOther, Text: fmt.Sprintf("the recording has no more than %d bytes of a body", r.limit)}
			if n := len(chunks.Chunks); n > 0 {
				c.Failure.At = chunks.Chunks[n-1].At
			}
		}
		t.Exchanges = append(t.Exchanges, &c)
	}
	return t, r.tooLarge
}

// roundTrip records what next says.
func (r *recording) roundTrip(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	e := &Exchange{Request: describe(req)}
	r.mu.Lock()
	sent := time.Now() // under the lock, so that the times are in the order of the exchanges
	e.At = r.between(r.begun, sent)
	r.exchanges = append(r.exchanges, e)
	r.mu.Unlock()
	copied, err := r.copying(req, e)
	var resp *http.Response
	if err == nil {
		resp, err = next.RoundTrip(copied)
	} else {
		req.Body.Close()
	}
	came := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		e.Failure = &Failure{At: r.between(sent, came), Kind: kindOfError(req.Context(), err, false), Text: err.Error()}
		return resp, err
	}
	_, phrase, _ := strings.Cut(resp.Status, " ")
	e.Response = &Response{
		Status: resp.StatusCode, Reason: reason(resp.StatusCode, phrase), Proto: resp.Proto, Header: resp.Header.Clone(), Wait: r.between(sent, came), Length: resp.ContentLength, Uncompressed: resp.Uncompressed,
	}
	if resp.StatusCode != http.StatusSwitchingProtocols && resp.Body != nil && resp.Body != http.NoBody {
		if hasBody(req.Method, resp.StatusCode) && resp.ContentLength != 0 {
			e.Failure = &Failure{Kind: FailureClosed} // until the body has come
		}
		resp.Body = &recordedBody{ReadCloser: resp.Body, recording: r, exchange: e, resp: resp, came: came, ctx: req.Context()}
	}
	return resp, nil
}

// reason returns the reason phrase of a response if it is not that of its status.
func reason(status int, phrase string) string {
	if phrase == http.StatusText(status) {
		return ""
	}
	return phrase
}

// copying returns a request whose body is on the tape: at once if it can be read twice (GetBody), and otherwise as far as it is sent.
// A server may answer before it has read all of it.
func (r *recording) copying(req *http.Request, e *Exchange) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	sent, err := r.again(req)
	switch {
	case err != nil && r.strict && req.GetBody != nil:
		return nil, err
	case err != nil:
		c := *req
		c.Body = &sentBody{ReadCloser: req.Body, recording: r, exchange: e, trailer: req.Trailer}
		return &c, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keeps(e, int64(len(sent))) {
		e.Request.Body, e.Request.Trailer = sent, req.Trailer.Clone()
	}
	return req, nil
}

// again reads the body of a request a second time, or its beginning of one byte above the limit.
func (r *recording) again(req *http.Request) ([]byte, error) {
	if req.GetBody == nil {
		return nil, errors.ErrUnsupported
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	sent, err := io.ReadAll(io.LimitReader(body, r.limit+1))
	return sent, errors.Join(err, body.Close())
}

// sentBody writes down what of a body is sent.
type sentBody struct {
	io.ReadCloser
	recording *recording
	exchange  *Exchange
	trailer   http.Header
	sent      int64
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.recording.mu.Lock()
	defer b.recording.mu.Unlock()
	if b.sent += int64(n); b.recording.keeps(b.exchange, b.sent) {
		b.exchange.Request.Body = append(b.exchange.Request.Body, p[:n]...)
	}
	if err == io.EOF {
		b.exchange.Request.Trailer = b.trailer.Clone()
	}
	return n, err
}

// recordedBody writes down what the caller reads, and when it came.
type recordedBody struct {
	io.ReadCloser
	recording *recording
	exchange  *Exchange
	resp      *http.Response
	came      time.Time
	ctx       context.Context // of the request
	read      int64
	ended     bool // the body has said how it ends; what it says after that is not what came
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	at := b.recording.between(b.came, time.Now())
	b.recording.mu.Lock()
	defer b.recording.mu.Unlock()
	if b.ended {
		return n, err
	}
	r := b.exchange.Response
	b.read += int64(n)
	b.ended = err != nil
	if kept := b.recording.keeps(b.exchange, b.read); !kept {
		b.recording.cut[b.exchange] = true
	} else if n > 0 {
		if last := len(r.Chunks) - 1; last >= 0 && at == r.Chunks[last].At { // the reads of a caller divide what came together
			r.Chunks[last].Data = append(r.Chunks[last].Data, p[:n]...)
		} else {
			r.Chunks = append(r.Chunks, Chunk{At: at, Data: slices.Clone(p[:n])})
		}
	}
	switch {
	case err == io.EOF:
		b.exchange.Failure, r.Trailer = nil, b.resp.Trailer.Clone()
	case err != nil:
		b.exchange.Failure = &Failure{At: at, Kind: kindOfError(b.ctx, err, true), Text: err.Error()}
	case b.read == r.Length:
		b.exchange.Failure = nil
	case b.exchange.Failure != nil:
		b.exchange.Failure.At = at
	}
	return n, err
}

// kindOfError is KindOf for a request with a context, whose deadline may show as an error of another kind.
func kindOfError(ctx context.Context, err error, answered bool) FailureKind {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return FailureDeadline
	}
	return KindOf(err, answered)
}
