package tape

import (
	"cmp"
	"errors"
	"net/http"
)

// RecorderOptions say what a [Recorder] keeps. The zero RecorderOptions keep bodies of up to 64 MiB.
type RecorderOptions struct {
	// MaxBodyBytes bounds what is recorded of each body. A request's body above it is left out; a response's ends there, with a [Failure] that says so. The program gets all of both.
	// Zero means 64 MiB.
	MaxBodyBytes int64
}

// A Recorder records the traffic of a program that is no test: as a tape, to run it through other policies by [Replay] and [Compare], or as an HTTP Archive by [Tape.WriteHAR].
// Make one with [NewRecorder]. It is safe for concurrent use.
//
// What it has recorded is in memory, with no bound but the one on each body: record what you will look at, not all that a server does.
type Recorder struct{ recording *recording }

// NewRecorder returns a recorder. Times on its tape count from now. The error is that of an option.
func NewRecorder(o RecorderOptions) (*Recorder, error) {
	if o.MaxBodyBytes < 0 {
		return nil, errors.New("tape: RecorderOptions.MaxBodyBytes is negative: give a number of bytes, or zero for 64 MiB")
	}
	return &Recorder{newRecording(cmp.Or(o.MaxBodyBytes, defaultMaxBodyBytes), 0)}, nil
}

// Middleware is the layer that records. It changes nothing of what passes. At the end of a chain, each redirect and each attempt of a retry layer is an exchange; above the others, each call is one.
func (r *Recorder) Middleware(next http.RoundTripper) http.RoundTripper {
	return newLayer(next, r.recording.roundTrip)
}

// Tape returns what has been recorded so far, with its secrets: [Tape.Redact] hides them. It is a copy. A body that is still being read ends where it is.
func (r *Recorder) Tape() *Tape {
	t, _ := r.recording.tape()
	return t
}

// newLayer returns a layer that hands each request to roundTrip, with next or else the default transport.
func newLayer(next http.RoundTripper, roundTrip func(http.RoundTripper, *http.Request) (*http.Response, error)) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &layer{next, roundTrip}
}

type layer struct {
	next      http.RoundTripper
	roundTrip func(next http.RoundTripper, r *http.Request) (*http.Response, error)
}

// Unwrap returns the next handler, for walks through a chain.
func (l *layer) Unwrap() http.RoundTripper { return l.next }

// WrappedRoundTripper is Unwrap under the name that Kubernetes uses.
func (l *layer) WrappedRoundTripper() http.RoundTripper { return l.next }

func (l *layer) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (l *layer) RoundTrip(r *http.Request) (*http.Response, error) { return l.roundTrip(l.next, r) }
