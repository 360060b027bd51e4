package tape

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strings"
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
	byDefault bool          // Match is defaultMatch
	exchanges []*Exchange   // as they are answered
	requests  []Request     // redacted, as they are matched
	keys      []string      // of the requests
	issued    []credentials // by the answers

	mu       sync.Mutex
	queues   map[string][]*queue // by key
	alike    map[string]*alike   // by what they have in common
	used     []bool
	assigned *assignment
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
	p := &Player{o: o, byDefault: byDefault, redaction: redaction{redactor: o.Redactor, scrub: o.Scrub, shown: o.ShowMembers}, exchanges: t.Exchanges, queues: map[string][]*queue{}, alike: map[string]*alike{}, used: make([]bool, len(t.Exchanges)), assigned: newAssignment()}
	for i, e := range t.Exchanges {
		r, secrets := p.redaction.without(e.Request)
		key, err := p.key(r)
		if err != nil {
			return nil, fmt.Errorf("tape: exchange %d: %w", i, redact.Error(err))
		}
		p.requests, p.keys = append(p.requests, r), append(p.keys, key)
		p.enqueue(i, key, secrets)
		if byDefault {
			p.liken(i, r, key)
		}
		p.issued = append(p.issued, p.assigned.learn(callerOf(r, secrets), p.redaction.issued(e.Response)))
	}
	p.assigned.learned()
	return p, nil
}

// key returns what a request without secrets is compared by.
func (p *Player) key(r Request) (string, error) { return r.key(p.o.Match, p.byDefault) }

func (r Request) key(match keying.Strategy, byDefault bool) (string, error) {
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
	if len(r.Body) == 0 && byDefault {
		req.Header.Del("Content-Type") // of no content
	}
	if len(r.Body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.Body)), int64(len(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
	}
	key, err := match.AppendKey(nil, req)
	return string(key), err
}

// withBoundary returns a request whose content, if it has parts, has another boundary between them: most clients choose one at random (RFC 2046 §5.1.1).
func (r Request) withBoundary(boundary string) Request {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	before := params["boundary"]
	if err != nil || before == "" || !strings.HasPrefix(mediaType, "multipart/") {
		return r
	}
	params["boundary"] = boundary
	r.Header = r.Header.Clone()
	r.Header.Set("Content-Type", mime.FormatMediaType(mediaType, params))
	r.Body = bytes.ReplaceAll(r.Body, []byte("--"+before), []byte("--"+boundary))
	return r
}

// RoundTrip answers a request. Its error is that of the tape, that of the request's context, or an [*UnmatchedError].
func (p *Player) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := requestOf(r)
	if err != nil {
		return nil, err
	}
	sent, secrets := p.redaction.without(sent)
	key, err := p.key(sent)
	if err != nil {
		return nil, &UnmatchedError{Request: sent, Refused: redact.Error(err)}
	}
	queues, alike := p.candidates(sent, key)
	e, others := p.take(queues, callerOf(sent, secrets))
	if e == nil {
		err := p.unmatched(sent, alike, len(queues) > 0)
		err.OfOthers, err.whose = others != "", others
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

// A queue has the exchanges of one key and the same secrets, as indices of Player.exchanges, in their order.
type queue struct {
	secrets credentials
	all     []int
	given   int // so many of them, from the first on
}

// left reports whether an exchange has not been given, or may be again.
func (q *queue) left(again bool) bool { return again || q.given < len(q.all) }

// at returns the exchange that is next, or the last one.
func (q *queue) at() int { return q.all[min(q.given, len(q.all)-1)] }

// enqueue adds an exchange to its queue.
func (p *Player) enqueue(i int, key string, secrets credentials) {
	for _, q := range p.queues[key] {
		if maps.Equal(q.secrets, secrets) {
			q.all = append(q.all, i)
			return
		}
	}
	p.queues[key] = append(p.queues[key], &queue{secrets: secrets, all: []int{i}})
}

// take returns the first exchange of queues that is left of those that are the caller's own, or if it has none of those that may be; or with Reuse the last one; or nil.
// Then it says of the first that is left whose it is.
func (p *Player) take(queues []*queue, c caller) (_ *Exchange, whose string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.assigned.see(c.secrets)
	var best, again, others choice
	for _, q := range queues {
		f, ok := p.assigned.fits(c, q.secrets)
		this := choice{q, f}
		switch {
		case !ok:
			if others.queue == nil && q.left(p.o.Reuse) {
				others.queue = q
			}
			continue
		case q.left(false) && (best.queue == nil || this.before(best.fit) || !best.before(this.fit) && q.at() < best.at()):
			best = this
		}
		if again.queue == nil || this.before(again.fit) || !again.before(this.fit) && q.at() > again.at() {
			again = this
		}
	}
	if again.exact && !best.exact || again.own && !best.own { // what is left is not the caller's
		if others.queue == nil {
			others = best
		}
		best.queue = nil
	}
	switch {
	case best.queue != nil:
		i := best.at()
		best.given++
		p.used[i] = true
		p.assigned.assign(c, best.secrets)
		p.assigned.see(p.issued[i])
		return p.exchanges[i], ""
	case again.queue != nil && p.o.Reuse:
		return p.exchanges[again.at()], ""
	case others.queue != nil:
		return nil, p.assigned.whose(c, others.secrets)
	}
	return nil, ""
}

// A choice is a queue that may have the answer to a caller.
type choice struct {
	*queue
	fit
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
