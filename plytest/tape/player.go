package tape

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"sync"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/redact"
)

// PlayerOptions say how a [Player] finds the answer to a request, and when it gives it. The zero PlayerOptions match requests as [Options] say.
type PlayerOptions struct {
	Match    keying.Strategy  // see Options.Match
	Redactor *redact.Redactor // see Options.Redactor

	ShowMembers []string // see Options.ShowMembers

	Scrub  func(*Exchange) // see Options.Scrub
	Reuse  bool            // see Options.Reuse
	NoWait bool            // see Options.NoWait
}

// A Player answers requests as a tape says, byte for byte, with its waits and its failures. It is an http.RoundTripper, safe for concurrent use. Make one with [Tape.Player].
type Player struct {
	o         PlayerOptions
	redaction redaction
	byDefault bool        // Match is defaultMatch
	exchanges []*Exchange // as they are answered
	requests  []Request   // redacted, as they are matched
	keys      []string    // of the requests

	mu       sync.Mutex
	queues   map[string][]*queue // by key
	used     []bool
	assigned assignment
}

// defaultMatch compares method, URL and content. Credentials do not count: they change from day to day, and are not on a tape.
var defaultMatch = keying.New(keying.Method(), keying.URL(keying.URLOptions{}), keying.Body(keying.BodyOptions{MaxBytes: math.MaxInt64}), keying.IgnoreCredentials())

// Player returns a player of the tape, which must not change any more. It answers requests that match several exchanges in the order of the tape.
// An error says that Match refuses a request of the tape.
func (t *Tape) Player(o PlayerOptions) (*Player, error) {
	byDefault := o.Match == nil
	if byDefault {
		o.Match = defaultMatch
	}
	p := &Player{o: o, byDefault: byDefault, redaction: redaction{redactor: o.Redactor, scrub: o.Scrub, shown: o.ShowMembers}, exchanges: t.Exchanges, queues: map[string][]*queue{}, used: make([]bool, len(t.Exchanges))}
	for i, e := range t.Exchanges {
		r, caller := p.redaction.without(e.Request)
		key, err := p.key(r)
		if err != nil {
			return nil, fmt.Errorf("tape: exchange %d: %w", i, redact.Error(err))
		}
		p.requests, p.keys = append(p.requests, r), append(p.keys, key)
		p.enqueue(i, key, caller)
	}
	return p, nil
}

// key returns what a request without secrets is compared by.
func (p *Player) key(r Request) (string, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "", err
	}
	req := &http.Request{Method: cmp.Or(r.Method, http.MethodGet), URL: u, Host: r.Host, Header: r.Header, Body: http.NoBody}
	if req.Host == "" {
		req.Host = u.Host
	}
	if req.Header = r.Header.Clone(); req.Header == nil {
		req.Header = http.Header{}
	}
	if len(r.Body) == 0 && p.byDefault {
		req.Header.Del("Content-Type") // of no content
	}
	if len(r.Body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.Body)), int64(len(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
	}
	key, err := p.o.Match.AppendKey(nil, req)
	return string(key), err
}

// RoundTrip answers a request. Its error is that of the tape, that of the request's context, or an [*UnmatchedError].
func (p *Player) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := requestOf(r)
	if err != nil {
		return nil, err
	}
	sent, caller := p.redaction.without(sent)
	key, err := p.key(sent)
	if err != nil {
		return nil, &UnmatchedError{Request: sent, Refused: redact.Error(err)}
	}
	e, others := p.take(key, caller)
	if e == nil {
		err := p.unmatched(sent)
		err.OfOthers = others
		return nil, err
	}
	if p.o.NoWait {
		e = e.atOnce()
	}
	a := asRecorded(&moment{Exchange: e})
	if err := sleep(r.Context(), a.wait); err != nil {
		return nil, err
	}
	if a.response == nil {
		return nil, a.failure.Err(false)
	}
	return a.httpResponse(r), nil
}

// A queue has the exchanges of one key and the same credentials, as indices of Player.exchanges, in their order.
type queue struct {
	caller credentials
	all    []int
	given  int // so many of them, from the first on
}

// enqueue adds an exchange to its queue.
func (p *Player) enqueue(i int, key string, caller credentials) {
	for _, q := range p.queues[key] {
		if maps.Equal(q.caller, caller) {
			q.all = append(q.all, i)
			return
		}
	}
	p.queues[key] = append(p.queues[key], &queue{caller: caller, all: []int{i}})
}

// take returns the first exchange with a key that is left, or with Reuse the last one, or nil. Exchanges with the caller's credentials go before those with none or others.
// It reports whether there would be one that is another caller's.
func (p *Player) take(key string, caller credentials) (_ *Exchange, ofOthers bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.assigned.see(caller)
	var best, again *queue
	bestRank, againRank := 0, 0
	for _, q := range p.queues[key] {
		rank, ok := p.assigned.rank(caller, q.caller)
		if !ok {
			ofOthers = ofOthers || p.o.Reuse || q.given < len(q.all)
			continue
		}
		if q.given < len(q.all) && (best == nil || rank > bestRank || rank == bestRank && q.all[q.given] < best.all[best.given]) {
			best, bestRank = q, rank
		}
		if again == nil || rank > againRank || rank == againRank && q.all[len(q.all)-1] > again.all[len(again.all)-1] {
			again, againRank = q, rank
		}
	}
	switch {
	case best != nil:
		i := best.all[best.given]
		best.given++
		p.used[i] = true
		p.assigned.assign(caller, best.caller)
		return p.exchanges[i], false
	case again != nil && p.o.Reuse:
		return p.exchanges[again.all[len(again.all)-1]], false
	}
	return nil, ofOthers
}

// Unused returns the exchanges of the tape that no request has asked for yet.
func (p *Player) Unused() (unused []*Exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.exchanges {
		if !p.used[i] {
			unused = append(unused, e)
		}
	}
	return unused
}

// atOnce returns an exchange that takes no time.
func (e *Exchange) atOnce() *Exchange {
	c := *e
	if e.Response != nil {
		r := *e.Response
		r.Wait, r.Chunks = 0, nil
		for _, chunk := range e.Response.Chunks {
			r.Chunks = append(r.Chunks, Chunk{Data: chunk.Data})
		}
		c.Response = &r
	}
	if e.Failure != nil {
		f := *e.Failure
		f.At = 0
		c.Failure = &f
	}
	return &c
}

// requestOf reads a request, and closes its body.
func requestOf(r *http.Request) (Request, error) {
	sent := describe(r)
	if r.Body == nil {
		return sent, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	sent.Body, sent.Trailer = body, r.Trailer
	return sent, err
}

// describe returns a request without its body.
func describe(r *http.Request) Request {
	sent := Request{Method: cmp.Or(r.Method, http.MethodGet), URL: r.URL.String(), Header: r.Header.Clone()}
	if r.Host != "" && r.Host != r.URL.Host {
		sent.Host = r.Host
	}
	return sent
}
