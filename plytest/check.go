package plytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Rule is one obligation of a layer, as [CheckMiddleware] checks it. Its text names the subtest.
type Rule string

// The obligations of a layer to its caller and to the handler below, most of them from the contract of [http.RoundTripper].
const (
	// RequestUnmodified: the layer never changes the caller's request: neither before it calls next, nor while bodies are read,
	// nor after the return. To change a header, copy the request and clone the header.
	RequestUnmodified Rule = "request unmodified"

	// RequestBodyClosed: the body of the request, and each one that GetBody returned, is closed exactly once, on every path:
	// answered, failed, canceled, answered without next. It may happen after the return.
	// Next closes what it is given, so a layer closes what it does not pass on, and nothing else.
	RequestBodyClosed Rule = "request body closed once"

	// ResponseOrError: RoundTrip returns a response or an error, never both and never neither.
	ResponseOrError Rule = "response or error"

	// ResponseBodySet: the body of a response is never nil. An empty one is [http.NoBody].
	ResponseBodySet Rule = "response body set"

	// ResponseRequestSet: Response.Request is set and belongs to this call: its context has the values of the caller's.
	ResponseRequestSet Rule = "response request set"

	// ResponsesClosed: when the caller has closed the response that it got, every other response of next has been closed, too:
	// the retried ones, the ones replaced by an error, the losers of a race.
	ResponsesClosed Rule = "responses closed"

	// BytesUnchanged: the caller reads the body that next sends, and at its end the trailer, and a body that was cut short does not look complete.
	BytesUnchanged Rule = "bytes unchanged"

	// BodyStreamed: each part of a body reaches the caller before the server sends the next one.
	BodyStreamed Rule = "body streamed"

	// HeadersNotShared: the header and the trailer of a response belong to the caller who got it.
	// Changing them shows in no other response and in no request. The header is never nil.
	HeadersNotShared Rule = "headers not shared"

	// UpgradeKept: the body of a 101 (Switching Protocols) is still an [io.Writer], and bytes flow both ways.
	UpgradeKept Rule = "upgrade kept"

	// ContextAlive: the context that next was given is not canceled by the layer while the response is being read.
	ContextAlive Rule = "context alive until body closed"

	// CancellationHonored: when the caller's context is done, a call that is waiting for next returns with its error, and so does reading the body.
	// A pause of the layer's own ends then, too; this is checked in a bubble only.
	CancellationHonored Rule = "cancellation honored"

	// ErrorKept: if the layer returns an error because next did, [errors.Is] finds that one in it.
	ErrorKept Rule = "error kept"

	// PanicPassed: a panic of next reaches the caller, or becomes an error, and the layer still works afterwards: no lock is held, no slot is lost.
	// A layer that calls next in another goroutine must carry the panic over; otherwise it ends the test binary.
	PanicPassed Rule = "panic passed"

	// NilNext: a nil next stands for [http.DefaultTransport].
	NilNext Rule = "nil next"

	// IdleConnectionsClosed: the handler has a method CloseIdleConnections that calls the one of next,
	// so that [http.Client.CloseIdleConnections] reaches the transport.
	IdleConnectionsClosed Rule = "idle connections closed"

	// ConcurrentUse: calls at the same time do not mix, and a request may be used again when its response has been closed.
	// What next gets can be sent, and sent again: its Body, and what its GetBody returns, are as long as its ContentLength.
	// Most of what can go wrong here shows only under the race detector.
	ConcurrentUse Rule = "concurrent use"

	// NoGoroutineLeft: when a response has been closed, or a call has failed, no goroutine of it stays.
	NoGoroutineLeft Rule = "no goroutine left"
)

// Exception is a [Rule] that a layer breaks on purpose.
type Exception struct {
	Rule Rule
	Why  string
}

// Except leaves out a rule that the layer breaks on purpose. The test logs the reason.
func Except(rule Rule, why string) Exception { return Exception{rule, why} }

// CheckMiddleware tests whether a layer keeps the contract of [http.RoundTripper], and what else callers rely on, with one check per [Rule].
// A layer may answer without calling next, call it several times, change what it sends and add to what it returns.
// The rules are about what no layer may do.
//
// m is called many times, with handlers in memory; no network is used. Each handler that it returns is used in one rule only,
// and closed at the end of the rule if it is an [io.Closer]. State with channels or timers, or that must not outlive a rule, belongs inside m:
//
//	plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
//		return mylayer.New(mylayer.Options{})(next)
//	})
//
// If t is a [*testing.T], each rule is a subtest in its own bubble of [synctest], so that a layer that waits costs no time.
// If the caller is in a bubble already, the rules run there, one after the other, without subtests.
// With any other t, waiting takes real time: a second where a layer backs off for a second.
//
// A failure says what to do. A handler that is a plain function breaks two rules, [NilNext] and [IdleConnectionsClosed]:
// it has no method CloseIdleConnections, so that of the client does not reach the transport. ply.Chain makes up for both.
// Check a layer for chains in one:
//
//	plytest.CheckMiddleware(t, ply.Chain(mylayer))
//
// Run it with -race: only the race detector finds some violations of [ConcurrentUse] and [RequestUnmodified].
func CheckMiddleware(t testing.TB, m func(http.RoundTripper) http.RoundTripper, exceptions ...Exception) {
	t.Helper()
	excused := make(map[Rule]string)
	for _, e := range exceptions {
		excused[e.Rule] = e.Why
	}
	bubbled := inBubble()
	var leaks []string
	for _, r := range rules {
		if why, ok := excused[r.name]; ok {
			t.Logf("plytest: %s: excepted: %s", r.name, why)
			continue
		}
		c := &check{rule: r.name, m: m, bubbled: bubbled, leaks: leaks}
		if tt, ok := t.(*testing.T); ok && !bubbled {
			tt.Run(string(r.name), func(t *testing.T) {
				t.Helper() // report failures at the line that called CheckMiddleware
				c.runInBubble(t, r.check)
				c.report(t)
			})
			if c.frozen {
				t.Logf("plytest: the rules after %q were not checked", r.name)
				return
			}
		} else {
			c.run(r.check)
			c.report(t)
			if c.stuck { // its goroutine would block all other rules
				t.Logf("plytest: the rules after %q were not checked", r.name)
				return
			}
		}
		leaks = c.leaks
	}
}

// rules in the order in which they run. The last one also reports the leaks that the others found.
var rules = []struct {
	name  Rule
	check func(*check)
}{
	{ResponseOrError, (*check).runAllSituations},
	{ResponseBodySet, (*check).runAllSituations},
	{ResponseRequestSet, (*check).runAllSituations},
	{RequestUnmodified, (*check).requestUnmodified},
	{RequestBodyClosed, (*check).requestBodyClosed},
	{ResponsesClosed, (*check).responsesClosed},
	{BytesUnchanged, (*check).bytesUnchanged},
	{BodyStreamed, (*check).bodyStreamed},
	{HeadersNotShared, (*check).headersNotShared},
	{UpgradeKept, (*check).upgradeKept},
	{ContextAlive, (*check).contextAlive},
	{CancellationHonored, (*check).cancellationHonored},
	{ErrorKept, (*check).errorKept},
	{PanicPassed, (*check).panicPassed},
	{NilNext, (*check).nilNext},
	{IdleConnectionsClosed, (*check).idleConnectionsClosed},
	{ConcurrentUse, (*check).concurrentUse},
	{NoGoroutineLeft, (*check).noGoroutineLeft},
}

// check is one rule being checked.
type check struct {
	rule    Rule
	m       func(http.RoundTripper) http.RoundTripper
	bubbled bool     // time is virtual
	label   string   // of the rule's goroutines
	leaks   []string // goroutines left behind, in this rule or an earlier one
	stuck   bool     // a goroutine will never end, so nothing may wait for it
	frozen  bool     // the clock of the rule's bubble stands still

	mu       sync.Mutex // guards the fields below
	failures []string
	closers  []io.Closer
}

const (
	longWhile = 30 * 24 * time.Hour // how long a rule may take in virtual time
	slowWhile = 10 * time.Minute    // how long it may take where a layer's waits are real
	realWhile = 30 * time.Second    // how long it may take if they are not
)

// run checks a rule in the caller's bubble, or outside any.
func (c *check) run(rule func(*check)) {
	c.label = newLabel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pprof.Do(context.Background(), pprof.Labels(labelKey, c.label), func(context.Context) {
			defer c.recover()
			rule(c)
			c.closeAll()
		})
	}()
	limit := longWhile
	if !c.bubbled {
		limit = slowWhile
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		c.stuck = true
		c.errorf("a call does not return:\n%s", goroutines(c.label))
	}
	if !c.stuck {
		c.findLeaks()
	}
}

// runInBubble checks a rule in its own bubble.
//
// Leaving a bubble that still has goroutines ends the test binary. So such a bubble is not left:
// its main goroutine waits for a channel from outside, which stops its time, and the test goes on without it.
func (c *check) runInBubble(t *testing.T, rule func(*check)) {
	t.Helper()
	c.bubbled = true
	verdict, ended, never := make(chan bool, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		synctest.Test(t, func(*testing.T) {
			before := len(c.leaks)
			c.run(rule)
			dirty := c.stuck || len(c.leaks) > before
			verdict <- dirty
			if dirty {
				<-never
			}
		})
	}()
	select {
	case dirty := <-verdict:
		if !dirty {
			<-ended
		}
	case <-time.After(realWhile):
		c.frozen = true
		t.Fatalf("plytest: %s: a goroutine waits for something that is not of this check (a lock, the network, a channel made outside of m), and so the clock stands still:\n%s", c.rule, goroutines(""))
	}
}

func (c *check) recover() {
	if v := recover(); v != nil {
		c.errorf("panic: %v\n%s", v, debug.Stack())
	}
}

func (c *check) errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
}

// breach reports a failure of this rule. A failure of another rule is ignored, because that rule reports it.
func (c *check) breach(rule Rule, format string, args ...any) {
	if rule == c.rule {
		c.errorf(format, args...)
	}
}

// report passes on the findings: each one once, and only a few, with the remedy.
func (c *check) report(t testing.TB) {
	t.Helper()
	const enough = 5
	seen := make(map[string]bool)
	for _, f := range c.failures {
		if seen[f] {
			continue
		}
		if seen[f] = true; len(seen) > enough {
			t.Errorf("plytest: %s: …", c.rule)
			return
		}
		end := ". "
		if strings.Contains(f, "\n") {
			end = "\n"
		}
		t.Errorf("plytest: %s: %s%s%s", c.rule, f, end, remedies[c.rule])
	}
}

func (c *check) closeAll() {
	for _, closer := range c.closers {
		closer.Close()
	}
}

// findLeaks collects goroutines of the rule that do not end within a long time.
func (c *check) findLeaks() {
	left := func() string {
		if c.bubbled {
			synctest.Wait()
		}
		return goroutines(c.label)
	}
	if c.bubbled {
		time.Sleep(time.Second) // the goroutine of a timer has no label, and may have something to finish
		if left() != "" {
			time.Sleep(24 * time.Hour)
		}
	}
	if !c.bubbled {
		c.eventually(func() bool { return left() == "" })
	}
	if stacks := left(); stacks != "" {
		c.leaks = append(c.leaks, stacks)
		c.breach(NoGoroutineLeft, "left behind:\n%s", stacks)
	}
}

// settle waits until all goroutines are blocked.
func (c *check) settle() {
	if c.bubbled {
		synctest.Wait()
		return
	}
	for range 100 {
		runtime.Gosched()
	}
	time.Sleep(time.Millisecond)
}

// eventually reports whether a condition becomes true, at once or within a long time.
func (c *check) eventually(cond func() bool) bool {
	steps := []time.Duration{time.Second, time.Minute, 24 * time.Hour}
	if !c.bubbled {
		steps = make([]time.Duration, 1000)
		for i := range steps {
			steps[i] = 2 * time.Millisecond
		}
	}
	c.settle()
	for _, d := range steps {
		if cond() {
			return true
		}
		time.Sleep(d)
		c.settle()
	}
	return cond()
}

// giveUp is the time after which a handler below stops waiting for a broken layer.
func (c *check) giveUp() time.Duration {
	if c.bubbled {
		return time.Hour
	}
	return time.Second
}

// returns reports whether f returns. It checks for goroutines that wait for a mutex first, because they stop the clock of a bubble.
func (c *check) returns(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	for range 1000 {
		select {
		case <-done:
			return true
		default:
			runtime.Gosched()
		}
	}
	if c.bubbled {
		waitParked()
	}
	if c.locked() {
		c.stuck = true
		return false
	}
	limit := longWhile / 2
	if !c.bubbled {
		limit = realWhile / 2
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		c.stuck = true
		return false
	}
}

// locked reports whether a goroutine of the rule waits for a mutex that is not released.
func (c *check) locked() bool {
	for range 20 {
		stacks := goroutines(c.label)
		if !strings.Contains(stacks, "sync.(*Mutex).Lock") && !strings.Contains(stacks, "sync.(*RWMutex).") {
			return false
		}
		for range 200 {
			runtime.Gosched()
		}
	}
	return true
}

// layer puts a new handler of the layer in front of next.
func (c *check) layer(next *transport) http.RoundTripper { return c.layerOver(next) }

func (c *check) layerOver(next http.RoundTripper) http.RoundTripper {
	h := c.m(next)
	if h == nil {
		h = failing{errors.New("plytest: the layer returned a nil handler")}
		c.errorf("the layer returned a nil handler")
	}
	if closer, ok := h.(io.Closer); ok {
		c.mu.Lock()
		c.closers = append(c.closers, closer)
		c.mu.Unlock()
	}
	return h
}

type failing struct{ err error }

func (f failing) RoundTrip(req *http.Request) (*http.Response, error) {
	closeBody(req)
	return nil, f.err
}

type contextKey struct{}

// do calls a handler, and repairs a response that breaks a rule other than this one, so that each fault is reported by one rule.
func (c *check) do(h http.RoundTripper, req *http.Request) (*http.Response, error) {
	key := new(int)
	ctx := req.Context()
	if id, ok := ctx.Value(contextKey{}).(*int); ok {
		key = id
	}
	resp, err := h.RoundTrip(req)
	what := req.Method + " " + req.URL.Path
	switch {
	case resp == nil && err == nil:
		c.breach(ResponseOrError, "%s: neither a response nor an error", what)
		return nil, errNothing
	case resp != nil && err != nil:
		c.breach(ResponseOrError, "%s: both a response (%s) and an error (%v)", what, resp.Status, err)
		if resp.Body != nil {
			resp.Body.Close()
		}
		return nil, err
	case err != nil:
		return nil, err
	}
	if resp.Body == nil {
		c.breach(ResponseBodySet, "%s: the body of a response %d is nil", what, resp.StatusCode)
		fixed := *resp
		fixed.Body = http.NoBody
		resp = &fixed
	}
	if resp.Header == nil {
		c.breach(HeadersNotShared, "%s: the header of a response %d is nil, so that writing to it panics", what, resp.StatusCode)
		fixed := *resp
		fixed.Header = make(http.Header)
		resp = &fixed
	}
	switch {
	case resp.Request == nil || resp.Request.URL == nil:
		c.breach(ResponseRequestSet, "%s: a response %d without its request", what, resp.StatusCode)
	case ctx.Value(contextKey{}) != nil && resp.Request.Context().Value(contextKey{}) != key:
		c.breach(ResponseRequestSet, "%s: a response %d with the request of another call", what, resp.StatusCode)
	}
	return resp, nil
}

var errNothing = errors.New("plytest: neither a response nor an error")
