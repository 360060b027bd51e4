package tape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/redact"
)

// An origin answers as the origin of the tape would have, at the time of the bubble. Its rules are in docs/tape.md.
// The timelines do not change once it is made.
type origin struct {
	match     keying.Strategy
	start     time.Time     // when the tape begins in the bubble
	shift     time.Duration // from the recorded start to that, in whole seconds; zero if the dates of the tape hold
	resources map[string]timeline
	hosts     map[string]timeline
	good      map[string]timeline // of a resource, what was no trouble: there may be many failed tries between
	goodHosts map[string]timeline
	expiries  map[expiry][]string // the first two values of Date in responses with an Expires

	mu     sync.Mutex
	report *Report // what of it the origin counts
}

// A call is a request of a caller: one exchange of the tape on its way through the chain. Requests to the origin find it in their context.
type call struct {
	recorded *moment
	key      string        // of the resource; "" if it has none
	gone     chan struct{} // closed once the context of a caller that gave up has ended; nil if the recorded caller did not

	mu       sync.Mutex
	sent     int // requests to the origin so far
	underWay int // of these, those that wait for a response
}

type callKey struct{}

// An expiry is a value of Expires that a resource has had.
type expiry struct{ key, expires string }

func newOrigin(t *Tape, match keying.Strategy) *origin {
	return &origin{
		match: match, resources: map[string]timeline{}, hosts: map[string]timeline{}, good: map[string]timeline{}, goodHosts: map[string]timeline{}, expiries: map[expiry][]string{},
		report: &Report{Requests: len(t.Exchanges)},
	}
}

// add puts an exchange into the timelines. Those of a tape come in the order of their times.
func (o *origin) add(e *Exchange, r *http.Request) *call {
	m := &moment{Exchange: e, sent: e.Request.Header}
	if o.shift != 0 {
		m.sent = r.Header
	}
	c := &call{recorded: m}
	if redacted(e.Request.Header) {
		o.report.Redacted++
	}
	host := hostOf(r.URL)
	o.hosts[host] = append(o.hosts[host], m)
	if key, ok := o.resourceKey(r, e.Request.Body); ok {
		c.key, m.key = key, key
		o.resources[key] = append(o.resources[key], m)
	}
	return c
}

// complete ends the timelines.
func (o *origin) complete() {
	for key, l := range o.resources {
		l.resolve()
		o.good[key] = l.good()
		for _, m := range l {
			if m.Response == nil || m.Response.Header.Get("Expires") == "" {
				continue
			}
			at := expiry{key, m.Response.Header.Get("Expires")}
			if dates := o.expiries[at]; len(dates) < 2 && !slices.Contains(dates, m.Response.Header.Get("Date")) {
				o.expiries[at] = append(dates, m.Response.Header.Get("Date"))
			}
		}
	}
	for host, l := range o.hosts {
		o.goodHosts[host] = l.good()
	}
}

// redacted reports whether the request had credentials of which the tape does not even say whose they are.
func redacted(h http.Header) bool {
	for name, lines := range h {
		if redact.IsSecretHeader(name) && !changes(name) && slices.ContainsFunc(lines, func(line string) bool {
			return strings.Contains(withNumber.ReplaceAllLiteralString(line, ""), redact.Placeholder)
		}) {
			return true
		}
	}
	return false
}

// withNumber is what stands for a secret of which the tape says whose it is.
var withNumber = regexp.MustCompile(redact.Placeholder + `-[1-9][0-9]*`)

// now returns the time since the start of the tape.
func (o *origin) now() time.Duration { return time.Since(o.start) }

// RoundTrip answers a request as the tape says.
func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
	}
	c, _ := r.Context().Value(callKey{}).(*call)
	first := o.begin(c)
	defer c.answered()
	at := o.now()
	a, ok := o.choose(query{Request: r, body: body, call: c, first: first, at: at})
	if !ok {
		return nil, o.unknown(r)
	}
	err := sleep(r.Context(), a.wait)
	if c.gaveUp(a) && o.now()-at >= a.wait {
		<-c.gone // at this instant: a layer that gets the error sees that the caller is gone, and does not try again
		later, ok := o.choose(query{Request: r, body: body, call: c, at: at})
		if !ok || r.Context().Err() != nil {
			return nil, a.failure.Err(false)
		}
		a, err = later, sleep(r.Context(), later.wait-(o.now()-at)) // a layer goes on without the caller, for others perhaps
	}
	if err != nil {
		return nil, err
	}
	if a.response == nil {
		return nil, a.failure.Err(false)
	}
	resp := a.httpResponse(r)
	if resp.StatusCode == http.StatusNotModified && !(c != nil && sameConditions(r.Header, c.recorded.sent)) {
		o.count(func(report *Report) { report.Revalidated++ })
	}
	resp.Body = &countedBody{ReadCloser: resp.Body, origin: o}
	return resp, nil
}

// begin counts a request and reports whether it is the first of its call.
func (o *origin) begin(c *call) (first bool) {
	sent, underWay := 0, 0
	if c != nil {
		c.mu.Lock()
		sent, underWay = c.sent, c.underWay
		c.sent++
		c.underWay++
		c.mu.Unlock()
	}
	o.count(func(r *Report) {
		r.OriginRequests++
		switch {
		case underWay > 0:
			r.Hedges++
		case sent > 0:
			r.Retries++
		}
	})
	return c != nil && sent == 0
}

func (c *call) answered() {
	if c != nil {
		c.mu.Lock()
		c.underWay--
		c.mu.Unlock()
	}
}

// gaveUp reports whether an answer is that the recorded caller gave up before one came.
func (c *call) gaveUp(a answer) bool {
	return c != nil && c.gone != nil && a.response == nil && a.failure == c.recorded.Failure
}

// requests returns how many requests to the origin the call has caused so far.
func (c *call) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

func (o *origin) count(add func(*Report)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	add(o.report)
}

func (o *origin) unknown(r *http.Request) error {
	name := r.Method + " " + redact.URL(r.URL)
	o.count(func(report *Report) {
		report.Unknown++
		if len(report.UnknownRequests) < maxUnknownRequests && !slices.Contains(report.UnknownRequests, name) {
			report.UnknownRequests = append(report.UnknownRequests, name)
		}
	})
	return fmt.Errorf("%w: %s", ErrNotOnTape, name)
}

// A query is a request to the origin.
type query struct {
	*http.Request
	body  []byte
	call  *call // nil if it is not of a call of the tape, for all that its context says
	first bool  // it is the first of its call
	at    time.Duration
}

// choose returns the answer to a request at this time. It reports false if the tape has none.
func (o *origin) choose(q query) (answer, bool) {
	key, ok := o.resourceKey(q.Request, q.body)
	own := q.first && q.call.key == key && (ok || sameTarget(q.Request, q.call.recorded))
	if own && q.call.recorded.At == q.at {
		if a, ok := o.recordedAnswer(q.Request, q.call.recorded); ok {
			return a, true
		}
	}
	resource := o.resources[key]
	if len(resource) == 0 && q.Method == http.MethodHead { // a HEAD has the header of a GET (RFC 9110 §9.3.2)
		get := *q.Request
		get.Method = http.MethodGet
		key, _ = o.resourceKey(&get, q.body)
		resource = o.resources[key]
	}
	if len(resource) == 0 {
		return answer{}, false
	}
	if m := resource.interval(q.at, (*moment).trouble); m != nil {
		return o.dated(asRecorded(m), m, q.at), true
	}
	if m := o.hosts[hostOf(q.URL)].interval(q.at, (*moment).outage); m != nil {
		return o.dated(withoutContent(m), m, q.at), true
	}
	if m := o.good[key].nearest(q.at, func(m *moment) bool { return m.fits(q.Request) }); m != nil {
		a := o.represent(q.Request, m, q.at)
		a.wait = q.waitAs(m, o.good[key], o.goodHosts[hostOf(q.URL)])
		return a, true
	}
	m := resource.nearest(q.at, func(m *moment) bool { return m.trouble() && sameVariant(q.Header, m.Exchange) })
	if m == nil {
		return answer{}, false
	}
	return o.dated(asRecorded(m), m, q.at), true
}

func hostOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

// sameTarget reports whether a request without a key is the recorded one, for all that can be seen.
func sameTarget(r *http.Request, m *moment) bool {
	return r.Method == m.method() && r.URL.String() == m.Request.URL
}

// recordedAnswer answers the first request of a call at its recorded time: as recorded, unless a layer has changed the conditions.
func (o *origin) recordedAnswer(r *http.Request, m *moment) (answer, bool) {
	switch {
	case !sameVariant(r.Header, m.Exchange):
		return answer{}, false
	case sameConditions(r.Header, m.sent) || m.trouble() || m.endedByCaller():
		return o.dated(asRecorded(m), m, m.At), true
	case m.representation == nil:
		return answer{}, false
	}
	a := o.represent(r, m, m.At)
	a.wait = m.Response.Wait
	return a, true
}

// waitAs returns how long the header of the answer m takes. The first request of a call waits as long as recorded: another one of the call is a try of its own, and waits
// as the nearest other exchange of the resource did, or else of the host.
func (q query) waitAs(m *moment, resource, host timeline) time.Duration {
	var own *moment
	if q.call != nil {
		own = q.call.recorded
	}
	if q.first && own.Response != nil && !own.trouble() {
		return own.Response.Wait
	}
	other := func(s *moment) bool { return s != own && s.method() == m.method() }
	for _, l := range []timeline{resource, host} {
		if s := l.closest(q.at, other); s != nil {
			return s.Response.Wait
		}
	}
	return m.Response.Wait
}

func (e *Exchange) method() string {
	if e.Request.Method == "" {
		return http.MethodGet
	}
	return e.Request.Method
}

// sleep waits in the time of the bubble.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// countedBody counts what is read of the origin's bodies.
type countedBody struct {
	io.ReadCloser
	origin *origin
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.origin.count(func(r *Report) { r.BytesOrigin += int64(n) })
	return n, err
}
