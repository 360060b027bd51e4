package hedge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// race is one request and its copies.
//
// The request itself runs on the caller's goroutine, as it would without the layer, so that a panic goes where it belongs, and nothing of the caller's is used after the return.
// Each copy runs on the goroutine of the timer that was up for it, which ends with the copy.
// The goroutine that brings a result decides under mu what becomes of it: it is the answer, it is kept in case that nothing better comes, or it is dropped.
// Hedger makes one for each call, and run ends it. Copies may come back later; each finds over set, and is dropped.
type race struct {
	// The fields above mu are not changed after the race is made.
	hedger *Hedger
	next   http.RoundTripper
	req    *http.Request // the caller's
	key    string
	delay  time.Duration
	// Never closed. One message is enough, for the caller looks at everything under mu after it.
	news chan struct{} // has room for one; tells the caller to look again

	mu      sync.Mutex // guards the fields below
	timer   *time.Timer
	again   time.Duration // from a copy that was not sent to the next try; doubled by each
	runners []*runner     // the request itself first; no copy that was not sent
	// Raised by enter, lowered by arrived. settle may wait for zero, so each copy must arrive.
	running int     // copies under way
	closed  bool    // no further copy begins
	over    bool    // the caller has its answer, or it is in answer: what comes now is dropped
	answer  *result // of a copy that has won
	// Its body, if it has one, is open: settle returns the result, or it goes to lost.
	spare *result  // the best of the copies that were no use
	lost  []result // to be dropped, once mu is free
}

// runner is one of those that race.
// run or enter makes it, and it is not changed afterwards. handOver sees to the cancel of the winner, decide and drop to that of the others.
type runner struct {
	number int // zero for the request itself; grows in the order of runners
	cancel context.CancelCauseFunc
}

// result is what came of a runner.
type result struct {
	by       *runner
	resp     *http.Response
	err      error
	useful   bool // the response is usable
	panicked any
}

var errNothing = errors.New("hedge: the next layer returned neither a response nor an error, against the contract of http.RoundTripper")

// checked holds the next layer to the contract: a response with a body, or an error.
// No lock is held. It closes a body that came with an error.
func (r *race) checked(by *runner, out *http.Request, resp *http.Response, err error) result {
	switch {
	case resp == nil && err == nil:
		err = errNothing
	case err != nil:
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		resp = nil
	default:
		if resp.Body == nil {
			resp.Body = http.NoBody
		}
		if resp.Request == out || resp.Request == nil {
			resp.Request = r.req
		}
	}
	return result{by: by, resp: resp, err: err}
}

// judged asks whether the response is usable. If the hook panics, its body is closed.
// No lock is held: Usable is the user's.
func (r *race) judged(got result) result {
	if got.resp == nil {
		return got
	}
	asked := false
	defer func() {
		if !asked {
			got.resp.Body.Close()
		}
	}()
	got.useful = r.hedger.opts.Usable(got.resp)
	asked = true
	return got
}

// better reports whether a is to be preferred to b, when neither is usable: a response to an error. What panicked comes to light.
func better(a, b result) bool {
	return a.panicked != nil || b.panicked == nil && a.resp != nil && b.resp == nil
}

// run is the race from the caller's side, on the caller's goroutine, called once. It blocks as long as the next layer does, and then in settle.
func (r *race) run() (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.req.Context())
	first := &runner{cancel: cancel}
	r.begin(first)
	// A panic of the next layer passes on to the caller. finish runs all the same, so no copy outlives the race uncanceled.
	defer r.finish()
	out := r.req.WithContext(ctx)
	resp, err := r.next.RoundTrip(out)
	best := r.settle(r.judged(r.checked(first, out, resp, err)))
	if best.panicked != nil {
		panic(best.panicked)
	}
	return best.handOver()
}

// unlock lets go of mu, and drops what has lost meanwhile: closing a body is I/O, and the lock is never held over it.
// All who hold mu and may have added to lost give it back with unlock, not with mu.Unlock.
func (r *race) unlock() {
	lost := r.lost
	r.lost = nil
	r.mu.Unlock()
	for _, l := range lost {
		l.drop()
	}
}

// begin starts the time to the first copy, and the one from a copy that was not sent to the next try.
// The timer fires hedge on a goroutine of its own, even while begin still holds mu: hedge waits for it in isClosed.
func (r *race) begin(first *runner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runners = append(r.runners, first)
	r.again = r.delay
	r.timer = time.AfterFunc(r.delay, r.hedge)
}

// finish sees to it that nothing comes after the return.
// After a normal end the race is decided, and finish does nothing.
func (r *race) finish() {
	r.mu.Lock()
	defer r.unlock()
	if !r.over {
		r.decide(nil)
	}
}

// decide ends the race: all but the winner are canceled, and what they bring is dropped. mu is held.
// It is called once, by who finds the answer. A nil winner means that the next layer, or Usable, has panicked on the caller's goroutine.
func (r *race) decide(winner *runner) {
	r.closed, r.over = true, true
	r.timer.Stop()
	for _, other := range r.runners {
		if other != winner {
			other.cancel(errLost)
		}
	}
	if r.spare != nil && r.spare.by != winner {
		r.lost = append(r.lost, *r.spare)
		r.spare = nil
	}
}

// settle finds the answer, given the caller's own result. It waits for the copies under way if that is of no use.
// It is called once, by run. It blocks without mu, until a copy comes or the caller's context ends.
func (r *race) settle(own result) result {
	r.mu.Lock()
	defer r.unlock()
	// No copy begins any more. One that passed isClosed before is stopped by enter, which looks again under mu:
	//	the timer: not closed, asks the budget   we: close   the timer: enter finds the race closed, refunds
	r.closed = true
	r.timer.Stop()
	before := r.spare // came before the caller's own result
	for {
		switch {
		case r.answer != nil: // a copy has won, and has decided the race
			r.lost = append(r.lost, own)
			return *r.answer
		// The caller's own result is usable, or there is nothing else to come, or no one waits for it.
		case own.useful, r.running == 0 && r.spare == nil, r.req.Context().Err() != nil:
			r.decide(own.by)
			return own
		case r.running == 0 && (better(*r.spare, own) || r.spare == before && !better(own, *r.spare)):
			best := *r.spare
			r.decide(best.by)
			r.lost = append(r.lost, own)
			return best
		case r.running == 0:
			r.decide(own.by)
			return own
		}
		r.wait()
	}
}

// wait lets go of mu until a copy has come, or the caller has gone. The channel has room for one message, so one that is sent before the wait is not lost.
// The caller holds mu before and after, and must look at the whole state anew.
func (r *race) wait() {
	r.unlock()
	defer r.mu.Lock()
	select {
	case <-r.news:
	case <-r.req.Context().Done():
	}
}

// hedge sends one copy, if it is of any use still, and if the budget allows it.
// It runs on the timer's goroutine, without mu. The budget and the next layer may block it; the caller does not wait for that once it has an answer.
func (r *race) hedge() {
	defer func() {
		if p := recover(); p != nil { // of the budget: on the goroutine of a timer it would end the program
			// It counts as a copy that has come back: the caller, who may be waiting, is given the panic.
			r.mu.Lock()
			r.running++
			r.mu.Unlock()
			r.arrived(result{by: &runner{cancel: func(error) {}}, err: errNothing, panicked: p})
		}
	}()
	if r.isClosed() {
		return
	}
	ctx := r.req.Context()
	refund, ok := r.hedger.opts.Budget.Allow(r.key, retry.Outcome{})
	if !ok { // for good: copies that ask again would compete for what the next calls pay in
		r.hedger.denied.Add(1)
		note.Tell(ctx, note.Note{Layer: "hedge", Event: "denied", Detail: "by the budget", Start: time.Now()})
		return
	}
	// The race may have closed while the budget was asked. Then by is nil, and what was paid comes back.
	by, out := r.enter()
	if by != nil {
		note.Tell(ctx, note.Note{Layer: "hedge", Event: "sent", Detail: "a copy", Start: time.Now()})
		r.hedger.hedged.Add(1)
		if r.send(by, out) {
			return
		}
		r.hedger.hedged.Add(-1)
	}
	if refund != nil {
		refund()
	}
}

// unsent reports whether a layer below has kept the request, and says so.
func (g result) unsent() bool {
	var says interface{ Unsent() bool }
	return g.panicked == nil && errors.As(g.err, &says) && says.Unsent()
}

func (r *race) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// enter makes a copy one of those that race; nil if it is too late, or there are enough. The next one follows after the delay.
// The copy shares nothing with the caller's request that the caller could write to, since it may outlive the call.
// Only enter and postpone set the timer again. Both may do so for one place, so enter looks again whether it is free.
func (r *race) enter() (*runner, *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.runners) > r.hedger.opts.MaxHedges {
		return nil, nil
	}
	ctx, cancel := context.WithCancelCause(r.req.Context())
	by := &runner{number: r.runners[len(r.runners)-1].number + 1, cancel: cancel}
	r.runners = append(r.runners, by)
	r.running++
	if len(r.runners) <= r.hedger.opts.MaxHedges {
		r.timer.Reset(r.delay)
	}
	return by, r.req.Clone(note.WithHedge(ctx, by.number))
}

// send runs a copy to its end, however that comes, and reports whether it has left.
// It runs on the timer's goroutine, without mu, and blocks as long as the next layer does.
func (r *race) send(by *runner, out *http.Request) (sent bool) {
	got := result{by: by, err: errNothing}
	defer func() {
		if p := recover(); p != nil {
			got.panicked = p
		}
		if !sent { // before arrived, after which the call may end
			note.Tell(r.req.Context(), note.Note{Layer: "hedge", Event: "withdrew", Detail: "a copy", Start: time.Now()})
		}
		r.arrived(got)
	}()
	if out.Body != nil && out.Body != http.NoBody {
		content, err := out.GetBody()
		if err != nil {
			got.err = err
			return false
		}
		out.Body = content
	}
	sent = true
	resp, err := r.next.RoundTrip(out)
	got = r.judged(r.checked(by, out, resp, err))
	return !got.unsent()
}

// arrived decides what becomes of the result of a copy.
// It runs on the copy's goroutine, which ends with it. It never blocks on news: a message that is still there wakes the caller just as well.
func (r *race) arrived(got result) {
	// Each copy arrives exactly once, whatever became of it, or settle would wait for it until the caller has gone.
	r.mu.Lock()
	defer r.unlock()
	r.running--
	switch {
	case r.over: // too late: dropped by unlock
		r.lost = append(r.lost, got)
	case got.unsent(): // it ends nothing: the request itself may be one that never comes back
		r.lost = append(r.lost, got)
		r.postpone(got.by)
	case got.useful:
		r.hedger.won.Add(1)
		note.Tell(r.req.Context(), note.Note{Layer: "hedge", Event: "won", Detail: "with a copy", Start: time.Now()})
		r.answer = &got
		r.decide(got.by)
	case r.spare == nil:
		r.spare = &got
	case better(got, *r.spare):
		r.lost = append(r.lost, *r.spare)
		r.spare = &got
	default:
		r.lost = append(r.lost, got)
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// postpone gives the place of a copy that a layer below has kept, for want of room or behind an open breaker, to a later one. mu is held.
// The layer may have room then. With twice the time each, tries are few however long the request takes.
func (r *race) postpone(by *runner) {
	r.runners = slices.DeleteFunc(r.runners, func(other *runner) bool { return other == by })
	if !r.closed {
		r.timer.Reset(r.again)
		r.again *= 2
	}
}

// sent is how many copies were sent.
func (r *race) sent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.runners) - 1
}

// drop closes what is not read.
// It does I/O, so mu is not held.
func (g result) drop() {
	if g.resp != nil {
		g.resp.Body.Close()
	}
	g.by.cancel(errLost)
}

// handOver gives the answer to the caller. Its context lives until its body has ended.
// The caller of the layer owns the body now, and ends the context by closing it or reading it to its end.
func (g result) handOver() (*http.Response, error) {
	switch {
	case g.err != nil, g.resp.Body == http.NoBody:
		g.by.cancel(nil)
	case g.resp.StatusCode == http.StatusSwitchingProtocols:
		// The body is a connection, whose end is not ours to see. The context ends with the caller's.
	default:
		cancel := g.by.cancel
		g.resp.Body = layer.OnEnd(g.resp.Body, func() { cancel(nil) })
	}
	return g.resp, g.err
}
