package ply

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/redact"
)

// CallInfo is the record of a call: what each layer did, and when. String shows it as a waterfall, on one screen.
//
// It is a snapshot. Its URLs and the texts of its errors are without secrets; errors.Is and errors.As find the original errors.
type CallInfo struct {
	Method string
	URL    string // without secrets

	Status int   // of the last response; zero means that there was none
	Err    error // of the call, or of reading its body

	Start time.Time
	Total time.Duration // to the end of the body or to the error; while Open, until now
	Open  bool          // the call is under way, or its body has neither ended nor been closed

	Hops    []CallHop // in order: the first request, and one for each redirect
	Omitted int       // hops beyond the 100 that are kept

	// Amplification is how many requests went over the network for each hop that needed any: 1 without retries, hedges and what else layers send. Zero if there were none.
	Amplification float64

	Redactor *redact.Redactor // the redactor of the call, which String uses; nil hides all that may be secret
}

// CallHop is one request of a call and its response, outside all exchange layers.
type CallHop struct {
	Method string
	URL    string // without secrets

	Status int      // zero means that there was no response
	Err    error    // of the exchange, or of reading its body
	Header CallSpan // from the request to the header of the response, or to the error

	Body        CallSpan // from the header of the response to the end of its body; while Open, until now; zero without a body
	Received    int64
	ClosedEarly bool // the body was closed before its end
	Open        bool

	// Decoded has the content codings that a decode layer removed from the body, as Content-Encoding named them: "br". Empty means none.
	// Encoded is how many bytes it had before that.
	Decoded string
	Encoded int64

	// Cache is the word for what the cache did: hit, stale, revalidated, refreshed, miss, bypassed or refused. Empty means that no ply cache took part.
	// CacheReason says why.
	Cache, CacheReason string

	// Auth says in a word what the layers of package auth did: added, renewed, replayed, rejected, signed, skipped or failed. Empty means that none took part.
	// AuthReason says why.
	Auth, AuthReason string

	Stop string // why the retry layer made no further attempt, as a retry.Stop; empty without one

	Exchanges []CallExchange // what was sent over the network for the hop: nothing, if the cache served it
	Omitted   int            // exchanges beyond the 100 that are kept

	Requests int        // that went over the network: those of Exchanges that did, and those omitted
	Notes    []CallNote // what layers such as hedge, breaker and limit reported that they did; the first 100 are kept
}

// CallNote is what a layer reported that it did: see package note. String returns it in words.
type CallNote struct {
	Layer  string // its name
	Event  string // what happened, one of few words: "waited"
	Detail string // more, if there is more to say
	Span   CallSpan
}

// String returns the note in words: "limit waited".
func (n CallNote) String() string {
	return strings.TrimSuffix(n.Layer+" "+n.Event+" "+n.Detail, " ")
}

// CallExchange is one exchange with a server. An attempt that a layer inside retry ended before it reached the network counts as one, without phases,
// and so does an error that ended an attempt after its exchanges had their responses.
//
// A phase that did not occur is zero: those of making a connection on a connection that is used again,
// and all of them with a transport that does not support [net/http/httptrace].
type CallExchange struct {
	Attempt int           // its number in the retry layer; zero without one
	Hedge   int           // the number of the copy that a hedge layer has sent beside the request of the attempt; zero for that request
	Wait    time.Duration // how long the retry layer waited before the attempt

	Method string
	URL    string // without secrets

	Status int      // zero means that there was no response
	Proto  string   // "HTTP/2.0"
	Err    error    // of the exchange; or of reading its body, if the retry layer sent the request again for it
	Span   CallSpan // to the header of the response, or to the error

	Remote string        // the address of the server or proxy at the other end of the connection
	Reused bool          // the connection has served before
	Idle   time.Duration // for how long it was idle before

	Queue   CallSpan // until there was a connection, including the next three
	DNS     CallSpan
	Connect CallSpan
	TLS     CallSpan // the handshake; with a proxy, its tunnel too
	Send    CallSpan // from the connection to the last byte of the request
	Answer  CallSpan // from there to the first byte of the response
	Sent    int64    // bytes of the content of the request, as far as the furthest reading of it came
}

// CallSpan is a period of time, counted from the start of the call. The zero CallSpan did not happen.
type CallSpan struct{ Start, Duration time.Duration }

// End returns when the span ended, counted from the start of the call.
func (s CallSpan) End() time.Duration { return s.Start + s.Duration }

// WithCallInfo returns a context whose calls are recorded: those of a [Client], and those of an *http.Client made by [Wrap], with any layers or none.
//
//	resp, err := client.Get(ply.WithCallInfo(ctx), "/users/7")
//	…
//	if info, ok := ply.CallInfoFrom(resp); ok {
//		fmt.Println(info)
//	}
//
// Each call has a record of its own. Background refreshes of a cache are not in it.
// Calls with another context are not recorded; they pay for a few look-ups in the context and allocate nothing.
func WithCallInfo(ctx context.Context) context.Context {
	return reqctx.WithRecord(ctx, &callRecorder{})
}

// CallInfoFrom returns the record of the call that returned resp, and whether it was recorded: see [WithCallInfo].
// It may be called at any time and from any goroutine; the record is complete when the body has been read to its end or closed.
func CallInfoFrom(resp *http.Response) (CallInfo, bool) {
	if resp == nil || resp.Request == nil {
		return CallInfo{}, false
	}
	return CallInfoFromContext(resp.Request.Context())
}

// CallInfoFromContext returns the record of the call that ctx belongs to, and whether it was recorded. Layers use it with the context of a request.
// For a context from [WithCallInfo] it is the record of the last call that began with the context, which is how to get the record of a call that failed.
// An error that an *http.Client makes itself, as that of its CheckRedirect, is not in the record.
func CallInfoFromContext(ctx context.Context) (CallInfo, bool) {
	c := callRecordOf(ctx)
	if c == nil {
		return CallInfo{}, false
	}
	return c.snapshot(), true
}

func (c *callRecord) snapshot() CallInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := CallInfo{Method: c.method, URL: c.url.text, Err: c.err, Start: c.start, Total: c.total, Omitted: c.omitted, Redactor: c.url.redactor}
	for _, h := range c.hops {
		i.Hops = append(i.Hops, h.snapshot())
	}
	if n := len(i.Hops); n > 0 {
		last := i.Hops[n-1]
		if i.Omitted > 0 {
			last = c.last.snapshot()
		}
		i.Method, i.URL, i.Status, i.Open = i.Hops[0].Method, i.Hops[0].URL, last.Status, last.Open
		if i.Err == nil {
			i.Err, i.Total = last.Err, max(last.Header.End(), last.Body.End())
		} else {
			i.Open = false
		}
	} else if i.Err == nil {
		i.Open, i.Total = true, c.now()
	}
	i.Amplification = amplification(i.Hops)
	i.Err = c.url.redactor.Error(i.Err)
	return i
}

// snapshot returns a copy of h. The caller holds h.call.mu.
func (h *hopRecord) snapshot() CallHop {
	s := h.CallHop
	switch s.Open = !h.ended; {
	case s.Open && s.Status == 0:
		s.Header.Duration = h.call.now() - s.Header.Start
	case s.Open:
		s.Body.Duration = h.call.now() - s.Body.Start
	}
	if a := h.tally.Auth(); a.Status != "" {
		s.Auth, s.AuthReason = a.Status, a.Reason
	}
	if r, known := h.tally.Record(); known {
		s.Stop = r.Stop
	}
	s.Exchanges = make([]CallExchange, 0, len(h.exchanges))
	for _, x := range h.exchanges {
		if !x.outermost {
			s.Exchanges = append(s.Exchanges, x.CallExchange)
		}
	}
	s.Requests = len(s.Exchanges) + s.Omitted
	s.Notes = h.notes()
	beyond := s.Omitted > 0
	for i, o := range h.tally.Outcomes() {
		s.addAttempt(i+1, o.Status, o.Err, o.Wait, o.Duration, beyond)
	}
	s.Err = h.call.url.redactor.Error(s.Err)
	for i := range s.Exchanges {
		s.Exchanges[i].Err = h.call.url.redactor.Error(s.Exchanges[i].Err)
	}
	return s
}

// notes returns what layers have reported.
func (h *hopRecord) notes() []CallNote {
	var all []CallNote
	for _, n := range h.tally.Notes() {
		all = append(all, CallNote{Layer: n.Layer, Event: n.Event, Detail: n.Detail, Span: CallSpan{Start: n.Start.Sub(h.call.start), Duration: n.Duration}})
	}
	return all
}

// amplification is how many requests there were for each hop that has any.
func amplification(hops []CallHop) float64 {
	needed, requests := 0, 0
	for _, h := range hops {
		if h.Requests > 0 {
			needed++
			requests += h.Requests
		}
	}
	if needed == 0 {
		return 0
	}
	return float64(requests) / float64(needed)
}

// addAttempt adds what the retry layer reports of an attempt to the attempt's exchanges, of which there may be several, such as one for a token
// or one after a 401. An attempt without an exchange becomes one without phases, and so does an error after the last exchange had its response.
// If beyond is set, attempts later than all exchanges are among those omitted.
func (h *CallHop) addAttempt(number, status int, err error, wait, took time.Duration, beyond bool) {
	first := slices.IndexFunc(h.Exchanges, func(x CallExchange) bool { return x.Attempt >= number })
	if first < 0 {
		if beyond {
			return
		}
		first = len(h.Exchanges)
	}
	start := h.Header.Start
	if first > 0 {
		start = h.Exchanges[first-1].Span.End()
	}
	whole := CallExchange{Attempt: number, Wait: wait, Method: h.Method, URL: h.URL, Status: status, Err: err, Span: CallSpan{Start: start + wait, Duration: took}}
	after := first
	if len(h.Exchanges) >= maxRecorded && (first == len(h.Exchanges) || h.Exchanges[first].Attempt != number) {
		h.Omitted++
		return
	}
	for after < len(h.Exchanges) && h.Exchanges[after].Attempt == number {
		after++
	}
	if after == first {
		h.Exchanges = slices.Insert(h.Exchanges, first, whole)
		return
	}
	h.Exchanges[first].Wait = wait
	if err == nil {
		return
	}
	for i := after - 1; i >= first; i-- {
		if x := &h.Exchanges[i]; x.Status == status {
			if x.Err == nil {
				x.Err = err
			}
			return
		}
	}
	end := whole.Span.End()
	whole.Wait, whole.Span.Start = 0, h.Exchanges[after-1].Span.End()
	whole.Span.Duration = max(0, end-whole.Span.Start)
	h.Exchanges = slices.Insert(h.Exchanges, after, whole)
}
