package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply/redact"
)

// heldToken is a token with its dates. It doesn't change.
type heldToken struct {
	Token
	line string // the token as it stands in a field, or in the query

	at        time.Time     // when it came
	due, good time.Duration // from then on: until it is to be renewed, and for how long it may be used; zero if that is not known
}

// leastLife is for how long a token is believed that has expired already when it comes: our clock may be ahead.
const leastLife = 10 * time.Second

func newHeldToken(t Token, o *Options, now time.Time) *heldToken {
	h := &heldToken{Token: t, line: t.Value, at: now}
	if scheme := t.scheme(o); scheme != "" && o.Query == "" {
		h.line = scheme + " " + t.Value
	}
	if t.Expires.IsZero() {
		return h
	}
	life := t.Expires.Sub(now)
	if life <= 0 {
		life = leastLife
	}
	skew := min(o.ClockSkew, life/10)
	before := o.RefreshBefore
	if before == 0 {
		before = min(life/5, maxRefreshBefore)
	}
	h.good = life - skew
	h.due = life - max(min(before, life/2), skew)
	return h
}

func (t Token) scheme(o *Options) string {
	if t.Scheme == "" && o.Field == "Authorization" {
		return "Bearer"
	}
	return t.Scheme
}

// age is how old the token is by the clock that tells more: one of them may have been set, and the other stands still while a machine sleeps.
func (h *heldToken) age(now time.Time) time.Duration {
	return max(now.Sub(h.at), now.Round(0).Sub(h.at.Round(0)))
}

func (h *heldToken) isDue(now time.Time) bool { return h.due > 0 && h.age(now) >= h.due }

// isGood is for a token that is due.
func (h *heldToken) isGood(now time.Time) bool { return h.age(now) < h.good }

// slot has the token of one account, and what is known of its source.
type slot struct {
	account string
	opts    *Options

	mu      sync.Mutex   // guards the fields below; never held while the source is asked
	token   *heldToken   // nil before the first
	call    *refreshCall // the call of the source under way, or nil
	failed  *Error       // of the last call, nil if that brought a token
	failure backoff      // until when the source is left alone after it failed
	vain    backoff      // until when a 401 does not have it asked, after one that a new token met as well
	vainFor *heldToken   // what has last counted as in vain
}

// backoff is a time that doubles each time that it is begun.
type backoff struct {
	n     int
	until time.Time
}

func (b *backoff) begin(first time.Duration, now time.Time) {
	b.until = now.Add(max(first, min(first<<min(b.n, 30), maxHold)))
	b.n++
}

func (b *backoff) over(now time.Time) bool { return !now.Before(b.until) }

// refreshCall is one call of the source. Its goroutine ends when the source returns; those who wait are free when its time is over, too.
type refreshCall struct {
	done chan struct{} // closed when the fields below are set
	got  *heldToken
	err  *Error
}

// lease is a token for one request.
type lease struct {
	*heldToken
	waited bool
	stale  *Error // why there is no newer token in the place of one that has expired
}

// acquire returns a token, waiting for the source if it must.
//
// A token that has expired is better than none, if no newer one can be had: the server is the judge of it, and a cache may have answers that need none.
func (s *slot) acquire(ctx context.Context) (lease, error) {
	// Each case unlocks before it returns or waits. A call that has begun serves all who come while it lasts:
	//	A: no token, starts the call   B: finds the call, waits   the call: sets the token, closes done   A, B: read it
	now := time.Now()
	s.mu.Lock()
	t := s.token
	switch {
	case t != nil && !t.isDue(now):
		s.mu.Unlock()
		return lease{heldToken: t}, nil
	case t != nil && t.isGood(now):
		if s.call == nil && s.failure.over(now) {
			s.start(nil)
		}
		s.mu.Unlock()
		return lease{heldToken: t}, nil
	case s.call == nil && !s.failure.over(now):
		err := s.failed
		s.mu.Unlock()
		return s.stale(t, false, err)
	case s.call == nil:
		s.start(nil)
	}
	f := s.call
	s.mu.Unlock()
	if err := f.wait(ctx); err != nil {
		return lease{}, err
	}
	if f.err != nil {
		return s.stale(t, true, f.err)
	}
	return lease{heldToken: f.got, waited: true}, nil
}

func (s *slot) stale(t *heldToken, waited bool, err *Error) (lease, error) {
	if t == nil {
		return lease{}, err
	}
	return lease{heldToken: t, waited: waited, stale: err}, nil
}

// wait waits for the end of a call, or of the caller's context. The call goes on without the caller, for the next one.
func (f *refreshCall) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("auth: waiting for a token: %w", context.Cause(ctx))
	}
}

// renewal is what there is to do after a token was refused.
type renewal struct {
	newer *heldToken   // there is another one
	wait  *refreshCall // or it is on its way
	why   string       // or there is none, for this reason
}

// renew has a token replaced that was refused. Of many requests with one token, the first has the source asked, and all others find what that brings.
func (s *slot) renew(refused *heldToken) renewal {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.token != nil && s.token.Value != refused.Value:
		return renewal{newer: s.token}
	case s.call != nil:
	case !s.vain.over(now):
		return renewal{why: "a new token was refused a moment ago"}
	case !s.failure.over(now):
		return renewal{why: "the source has failed a moment ago"}
	default:
		s.start(&refused.Token)
	}
	return renewal{wait: s.call}
}

// waitForNewer waits for what renew has found.
func (s *slot) waitForNewer(ctx context.Context, r renewal, refused *heldToken) (newer *heldToken, why string, err error) {
	if r.wait == nil {
		return r.newer, r.why, nil
	}
	if err := r.wait.wait(ctx); err != nil {
		return nil, "", err
	}
	switch {
	case r.wait.err != nil:
		return nil, "the source has failed", nil
	case r.wait.got.Value == refused.Value:
		s.recordOutcome(r.wait.got, true)
		return nil, "the source has no other token", nil
	}
	return r.wait.got, "", nil
}

// recordOutcome notes what a server thinks of a token that was replaced for its sake: whether that has been in vain.
func (s *slot) recordOutcome(t *heldToken, vain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.token != t: // there is a newer one
	case !vain:
		s.vain, s.vainFor = backoff{}, nil
	case s.vainFor != t: // each call of the source counts once, however many requests its token was refused
		s.vain.begin(s.opts.FailureHold, time.Now())
		s.vainFor = t
	}
}

// start asks the source, on a goroutine of its own. s.mu is held, and no call is under way: each account has one at most.
// The waiters are free after Options.RefreshTimeout, even if the source goes on.
func (s *slot) start(rejected *Token) {
	f := &refreshCall{done: make(chan struct{})}
	s.call = f
	go s.refresh(f, rejected)
}

func (s *slot) refresh(f *refreshCall, rejected *Token) {
	ctx, cancel := s.opts.asked(s.account, rejected)
	defer cancel()
	began := time.Now()
	// Three things may end the call, and the first one does: its answer, its timeout, and the end of the goroutine (Goexit) in the source.
	late := context.AfterFunc(ctx, func() { s.finish(f, nil, errRefreshTimeout) })
	gone := true
	defer func() {
		if gone {
			s.finish(f, nil, errGoexit)
		}
	}()
	t, err := ask(ctx, s.opts.Source)
	gone = false
	late()
	var got *heldToken
	if err == nil {
		got = newHeldToken(t, s.opts, time.Now())
	} else {
		err = s.clean(err, t.Value)
	}
	if !s.finish(f, got, err) {
		got, err = nil, errRefreshTimeout
	}
	// From here on waiters go on. The hook runs without the lock, and may take its time.
	if s.opts.OnRefresh == nil {
		return
	}
	r := Refresh{Account: s.account, Principal: s.account, Rejected: rejected != nil, Duration: time.Since(began), Err: err}
	if got != nil {
		r.Expires = got.Expires
		if got.Principal != "" {
			r.Principal = got.Principal
		}
	}
	s.opts.OnRefresh(r)
}

// finish ends a call of the source, and reports whether it has: one that was late has ended before.
func (s *slot) finish(f *refreshCall, got *heldToken, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.call != f {
		return false
	}
	s.call = nil
	if err != nil {
		s.failure.begin(s.opts.FailureHold, time.Now())
		f.err = &Error{Op: "token", Account: s.account, Until: s.failure.until, err: err}
		s.failed = f.err
	} else {
		f.got, s.token = got, got
		s.failure, s.failed = backoff{}, nil
	}
	close(f.done) // f's fields are set before, and never change again: those who wait read them without the lock
	return true
}

// clean returns an error whose text has neither the secrets that package redact knows nor the tokens that are known here.
func (s *slot) clean(err error, also string) error {
	s.mu.Lock()
	known := []string{also}
	if s.token != nil {
		known = append(known, s.token.Value)
	}
	s.mu.Unlock()
	text := redact.ErrorText(err)
	for _, value := range known {
		if value != "" {
			text = strings.ReplaceAll(text, value, redact.Placeholder)
		}
	}
	if panicked, ok := err.(*PanicError); ok { // ask has made it for this call, so no other goroutine reads it
		panicked.text = text
	}
	return &redactedError{text, err}
}

// redactedError is an error whose text has no secret, however it is printed. errors.Is and errors.As see through it.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), e.text)
}
func (e *redactedError) Unwrap() error { return e.err }

// errGoexit is the error of a source that ends its goroutine, as FailNow of a test does.
var errGoexit = errors.New("the source has ended its goroutine")

// ask calls the source. It returns, unless the source ends the goroutine.
func ask(ctx context.Context, s Source) (t Token, err error) {
	defer func() {
		if p := recover(); p != nil {
			t, err = Token{}, &PanicError{Stack: debug.Stack(), text: "the source has panicked: " + fmt.Sprint(p)}
		}
	}()
	t, err = s.Token(ctx)
	if err == nil {
		err = usable(t)
	}
	return t, err
}

// usable refuses what no request can hold.
func usable(t Token) error {
	switch {
	case t.Value == "":
		return errors.New("the source has returned a token without a value")
	case strings.ContainsFunc(t.Value, func(r rune) bool { return r < ' ' || r == 0x7f }), strings.ContainsAny(t.Scheme, " \t\r\n,\""):
		return errors.New("the source has returned a token with control characters, or a scheme that is no word")
	}
	return nil
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }
