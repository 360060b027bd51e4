package ply

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ReconnectOptions say how [Client.Events] connects again. The zero value is meant for production.
type ReconnectOptions struct {
	// Wait passes before the next connection until the server sets a time of its own. Zero means 3 seconds.
	Wait time.Duration

	// MaxWait bounds each wait, also what the server asks for. Zero means 1 minute.
	MaxWait time.Duration

	// MinInterval passes at least between the beginnings of two connections, whatever Wait and the server say, unless MaxWait is shorter:
	// a server that sets 0 and ends the stream after each event would otherwise be asked without a pause. Zero means 1 second.
	MinInterval time.Duration

	// MaxFailures is how many connections in a row may bring no event before the loop ends with a [*ReconnectError]. Zero means 10, negative that there is no bound.
	MaxFailures int

	// OnReconnect is called before each wait, on the goroutine of the loop: err is why the connection has ended, nil if the server has ended the stream in order. Nil means that nothing is called.
	OnReconnect func(err error, wait time.Duration)
}

// The zero values of [ReconnectOptions].
const (
	defaultReconnectWait    = 3 * time.Second
	defaultReconnectMaxWait = time.Minute
	defaultReconnectTries   = 10
	defaultReconnectMinimum = time.Second
)

// Reconnect chooses how [Client.Events] connects again. Other calls ignore it.
func Reconnect(o ReconnectOptions) RequestOption {
	return RequestOption{func(d *draft) error {
		if o.Wait < 0 || o.MaxWait < 0 || o.MinInterval < 0 {
			return &OptionError{Option: "Reconnect", Reason: "Wait, MaxWait and MinInterval must not be negative"}
		}
		d.settings.reconnect = &o
		return nil
	}}
}

// ReconnectError says that [Client.Events] has given up: too many connections in a row have brought no event.
type ReconnectError struct {
	// Failures is the number of these connections.
	Failures int

	// Err is what ended the last one, nil if the server ended the stream in order.
	Err error
}

func (e *ReconnectError) Error() string {
	text := fmt.Sprintf("ply: event stream: %d connections in a row without an event", e.Failures)
	if e.Err == nil {
		return text + "; the last one ended in order"
	}
	return text + ": " + e.Err.Error()
}

func (e *ReconnectError) Unwrap() error { return e.Err }

// Events reads the server-sent events of url, and connects again when the stream ends, as an EventSource of a browser does:
//
//	for event, err := range client.Events(ctx, "/feed") {
//
// Each connection is a GET of url with opts, like the first, so that redirects are followed anew under the same rules: credentials never go to another origin.
// It has the ID of the last event in Last-Event-ID, unless that is empty; [SetHeader] gives one to begin with. It accepts text/event-stream, and asks caches to keep out of it (Cache-Control: no-store), unless opts say otherwise;
// connections after the first do so whatever opts say, for a stored stream ended before, and would be replayed for ever.
// The client's total timeout does not apply; one in opts bounds each connection. Give [Timeouts.IdleRead]: a connection that has died in silence is noticed by nothing else.
//
// The loop goes on after the end of a stream, a connection that breaks or cannot be made, a timeout, and the statuses 408, 425, 429, 500, 502, 503 and 504.
// It ends without an error with a 204, by which a server says that there is nothing more to come, and otherwise with an error: a [*StatusError] of any other status, 401 say;
// the [*DecodeError] and [*EventLimitError] of [Events]; what ctx has ended with; an error that another attempt would meet again, such as a certificate that cannot be verified
// or a header field that cannot be sent;
// and a [*ReconnectError] after too many connections in a row without an event: see [Reconnect].
//
// Before each connection passes the time that the server has set (retry), or else [ReconnectOptions.Wait], and up to half as much again, so that clients come back apart.
// It doubles with each connection in a row that has brought no event. A longer Retry-After counts instead. No two connections begin within [ReconnectOptions.MinInterval],
// which the HTML standard permits (§9.2.3, "optionally, wait some more"). Nothing is longer than [ReconnectOptions.MaxWait].
//
// Events that were sent while there was no connection come only if the server takes up from Last-Event-ID. Where a stream has an end, as the answer of a language model has, use [Events].
func (c *Client) Events(ctx context.Context, url string, opts ...RequestOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &eventSource{client: c, ctx: ctx, url: url}
		s.opts = append([]RequestOption{SetHeader("Accept", "text/event-stream"), SetHeader("Cache-Control", "no-store"), PhaseTimeouts(Timeouts{Total: -1})}, opts...)
		if err := s.run(func(e Event) bool { return yield(e, nil) }); err != nil {
			yield(Event{}, err)
		}
	}
}

// eventSource is one loop of [Client.Events].
type eventSource struct {
	client *Client
	ctx    context.Context
	url    string
	opts   []RequestOption

	options  ReconnectOptions
	begun    bool   // a request has been made: lastID is known
	lastID   string // of the stream so far
	wait     time.Duration
	failures int       // connections in a row that have brought no event
	since    time.Time // when the latest connection has begun
}

// run connects and reads until f returns false, the server ends it, or there is an error.
func (s *eventSource) run(f func(Event) bool) error {
	for {
		done, err := s.once(f)
		if done || err != nil && s.final(err) {
			return err
		}
		if most := s.options.MaxFailures; most >= 0 && s.failures >= cmp.Or(most, defaultReconnectTries) {
			return &ReconnectError{Failures: s.failures, Err: err}
		}
		if err := s.pause(err); err != nil {
			return err
		}
	}
}

// once makes one connection and reads it to its end. It is done if no other should follow.
func (s *eventSource) once(f func(Event) bool) (done bool, err error) {
	s.failures++
	s.since = time.Now()
	req, err := s.request()
	if err != nil {
		return true, err
	}
	resp, err := s.client.Do(req)
	stream, err := openEvents(resp, err, s.lastID)
	if err != nil || stream == nil {
		return err == nil, err
	}
	defer stream.close()
	done, err = stream.each(func(e Event) bool {
		s.failures = 0
		return f(e)
	})
	s.lastID = stream.reader.LastID()
	if retry, ok := stream.reader.Retry(); ok {
		s.wait = retry
	}
	return done, err
}

// request makes the request of the next connection.
func (s *eventSource) request() (*http.Request, error) {
	req, err := s.client.NewRequest(s.ctx, http.MethodGet, s.url, s.opts...)
	if err != nil {
		return nil, err
	}
	if !s.begun {
		s.begun, s.lastID = true, req.Header.Get("Last-Event-Id")
		chosen := settingsOf(req.Context()).over(s.client.defaults.settings).reconnect
		if chosen != nil {
			s.options = *chosen
		}
		s.wait = cmp.Or(s.options.Wait, defaultReconnectWait)
		s.options.MaxWait = cmp.Or(s.options.MaxWait, defaultReconnectMaxWait)
		s.options.MinInterval = cmp.Or(s.options.MinInterval, defaultReconnectMinimum)
		return req, nil
	}
	req.Header.Set("Cache-Control", "no-store")
	req.Header.Del("Last-Event-Id")
	if s.lastID == "" {
		return req, nil
	}
	if strings.ContainsFunc(s.lastID, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		closeBody(req)
		return nil, errors.New("ply: event stream: the last event ID has control characters, which a header field cannot carry, so the stream cannot be taken up where it ended")
	}
	req.Header.Set("Last-Event-Id", s.lastID)
	return req, nil
}

// final reports whether err is one that another connection would meet again.
func (s *eventSource) final(err error) bool {
	if s.ctx.Err() != nil || errors.Is(err, ErrClientClosed) {
		return true
	}
	var status *StatusError
	if errors.As(err, &status) {
		return !slices.Contains(passingStatuses, status.StatusCode)
	}
	var says interface{ RetryableError() bool }
	if errors.As(err, &says) && !says.RetryableError() {
		return true
	}
	return isAny[*OptionError](err) || isAny[*RedirectError](err) || isAny[*DecodeError](err) ||
		isAny[*CertificatePinError](err) || isAny[*tls.CertificateVerificationError](err) ||
		errors.Is(err, http.ErrSchemeMismatch) || cannotBeSent(err)
}

// cannotBeSent reports whether err is one by which net/http refuses a request before it does anything. It recognizes these by their text, for they have no types.
func cannotBeSent(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		for _, text := range []string{"unsupported protocol scheme ", "net/http: invalid header field ", "http: no Host in request URL"} {
			if strings.HasPrefix(err.Error(), text) {
				return true
			}
		}
	}
	return false
}

// passingStatuses are those of a server that may do better the next time.
var passingStatuses = []int{
	http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
	http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

func isAny[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// pause waits before the next connection; err is what the last one ended with. The error is that of the context.
func (s *eventSource) pause(err error) error {
	wait := min(s.wait, s.options.MaxWait)
	for range s.failures {
		if wait > s.options.MaxWait/2 {
			wait = s.options.MaxWait
			break
		}
		wait = max(2*wait, s.options.MinInterval)
	}
	wait += rand.N(min(wait/2, math.MaxInt64-wait) + 1)
	var status *StatusError
	if errors.As(err, &status) {
		after, _ := status.RetryAfter()
		wait = max(wait, after)
	}
	wait = max(wait, s.options.MinInterval-time.Since(s.since))
	wait = min(wait, s.options.MaxWait)
	if s.options.OnReconnect != nil {
		s.options.OnReconnect(err, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return fmt.Errorf("ply: event stream: waiting to connect again: %w", context.Cause(s.ctx))
	}
}
