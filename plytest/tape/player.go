package tape

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/plyhttp/ply/har"
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
	keys      []string    // "" matches nothing
	callers   []string    // with whose credentials the requests were sent

	mu       sync.Mutex
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
	p := &Player{o: o, byDefault: byDefault, redaction: redaction{redactor: o.Redactor, scrub: o.Scrub, shown: o.ShowMembers}, exchanges: t.Exchanges, used: make([]bool, len(t.Exchanges))}
	for i, e := range t.Exchanges {
		r := p.redaction.exchange(&Exchange{Request: e.Request}).Request
		key, err := p.key(r)
		if err != nil {
			return nil, fmt.Errorf("tape: exchange %d: %w", i, redact.Error(err))
		}
		p.requests, p.keys, p.callers = append(p.requests, r), append(p.keys, key), append(p.callers, p.redaction.callerOf(e.Request.Header))
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
	caller := p.redaction.callerOf(sent.Header)
	sent = p.redaction.exchange(&Exchange{Request: sent}).Request
	key, err := p.key(sent)
	if err != nil {
		return nil, err
	}
	e := p.take(key, caller)
	if e == nil {
		return nil, p.unmatched(sent)
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

// take returns the first exchange with a key that is left, or with Reuse the last one, or nil. Exchanges of the same caller go before those of others.
func (p *Player) take(key, caller string) *Exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, last := -1, -1
	for i, k := range p.keys {
		if k != key {
			continue
		}
		rank := p.assigned.rank(caller, p.callers[i])
		if !p.used[i] && (first < 0 || rank > p.assigned.rank(caller, p.callers[first])) {
			first = i
		}
		if last < 0 || rank >= p.assigned.rank(caller, p.callers[last]) {
			last = i
		}
	}
	switch {
	case first >= 0:
		p.used[first] = true
		p.assigned.assign(caller, p.callers[first])
		return p.exchanges[first]
	case last >= 0 && p.o.Reuse:
		return p.exchanges[last]
	}
	return nil
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

// An UnmatchedError is the error for a request that a tape has no answer for, or none that is left. It has no secrets.
type UnmatchedError struct {
	Request Request  // as it is compared, without secrets
	Nearest *Request // the request of the tape that is most like it, nil if the tape is empty
	Used    bool     // Nearest is the same request, and has been answered already
}

func (e *UnmatchedError) Error() string {
	name := e.Request.Method + " " + e.Request.URL
	switch {
	case e.Nearest == nil:
		return "tape: the tape is empty: there is no answer to " + name
	case e.Used:
		return "tape: each answer to " + name + " has been given; record again, or set Reuse"
	}
	return "tape: no answer to " + name + "; record again, or see how it differs from the nearest request of the tape (-):\n" + difference(e.Nearest, &e.Request)
}

// difference shows how a request differs from another: by its fields only if by nothing else, for most of them do not count.
func difference(before, after *Request) string {
	b, a := before.lines(false), after.lines(false)
	if slices.Equal(b, a) {
		b, a = before.lines(true), after.lines(true)
	}
	return diff(b, a)
}

func (p *Player) unmatched(r Request) *UnmatchedError {
	err := &UnmatchedError{Request: r}
	best := -1
	key, _ := p.key(r)
	for i := range p.requests {
		if score := r.likeness(&p.requests[i]); score > best {
			best, err.Nearest, err.Used = score, &p.requests[i], p.keys[i] == key
		}
		if p.keys[i] == key {
			err.Nearest, err.Used = &p.requests[i], true
			return err
		}
	}
	return err
}

// likeness is greater for requests that have more in common: path above all, then method, host, query and content.
func (r *Request) likeness(other *Request) (score int) {
	a, errA := url.Parse(r.URL)
	b, errB := url.Parse(other.URL)
	if errA != nil || errB != nil {
		return 0
	}
	for _, c := range []struct {
		same   bool
		weight int
	}{{a.Path == b.Path, 16}, {cmp.Or(r.Method, http.MethodGet) == cmp.Or(other.Method, http.MethodGet), 8}, {a.Host == b.Host, 4}, {a.RawQuery == b.RawQuery, 2}, {bytes.Equal(r.Body, other.Body), 1}} {
		if c.same {
			score += c.weight
		}
	}
	return score
}

// maxDiffLines bounds what an error shows of a body.
const maxDiffLines = 40

// lines are what a request is compared by, one below the other.
func (r *Request) lines(fields bool) []string {
	address, query, _ := strings.Cut(r.URL, "?")
	lines := []string{cmp.Or(r.Method, http.MethodGet) + " " + address}
	for param := range strings.SplitSeq(query, "&") {
		if param != "" {
			lines = append(lines, "  "+param)
		}
	}
	if fields {
		for _, f := range har.Headers(r.Header) {
			lines = append(lines, f.Name+": "+f.Value)
		}
	}
	if len(r.Body) > 0 {
		body := strings.Split(fmt.Sprintf("%.4096s", strings.ToValidUTF8(string(r.Body), "�")), "\n")
		lines = append(lines, body[:min(len(body), maxDiffLines)]...)
	}
	return lines
}

// diff shows what differs between the beginnings and the ends that two lists have in common.
func diff(before, after []string) string {
	begin := 0
	for begin < len(before) && begin < len(after) && before[begin] == after[begin] {
		begin++
	}
	end := 0
	for end < len(before)-begin && end < len(after)-begin && before[len(before)-1-end] == after[len(after)-1-end] {
		end++
	}
	var b strings.Builder
	write := func(sign string, lines []string) {
		for _, line := range lines {
			fmt.Fprintf(&b, "%s %s\n", sign, line)
		}
	}
	write(" ", before[:begin])
	write("-", before[begin:len(before)-end])
	write("+", after[begin:len(after)-end])
	write(" ", before[len(before)-end:])
	return b.String()
}
