package breaker

import (
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// Options say when a breaker opens and closes. The zero value is meant for production.
type Options struct {
	// FailureRate is the share of failures at which the breaker of a key opens, between 0 and 1. Zero means 0.7:
	// a server that answers half of the requests is of more use with retries than without any.
	FailureRate float64

	// MinRequests is how many requests there must have been in Window before the share means anything. Zero means 10.
	MinRequests int

	// Window is how far back requests count. Zero means 10 s.
	Window time.Duration

	// OpenFor is how long an open breaker refuses everything. Then it is half-open. Zero means 5 s.
	OpenFor time.Duration

	// Probes is how many requests a half-open breaker lets through at once, and how many of them must succeed, one after the other,
	// to close it. The first that fails opens it again. Zero means 1.
	Probes int

	// ProbeTimeout is how long a probe may take to the header of its response. One that takes longer counts as failed; it goes on all the same.
	// Zero means 10 s.
	ProbeTimeout time.Duration

	// MinTimeout is how long a request must have waited for it to count as a failure that the caller's deadline ended it:
	// a caller in a hurry does not open the breaker for the others. Zero means 1 s.
	MinTimeout time.Duration

	// Rules are asked before [retry.DefaultRule] whether a response or error is a failure, as in retry.Options.Rules: retry.Retry means that it is.
	// Zero means DefaultRule alone.
	Rules []retry.Rule

	// Key names what has a breaker of its own. It must not block, and what it returns is in errors, so that it must not be a secret. Zero means the host and port of the URL.
	Key func(*http.Request) string

	// MaxKeys bounds the breakers that are remembered beside those in use; the one unused the longest is forgotten. Zero means 1024.
	MaxKeys int

	// OnChange sees each change of a state, in their order for each key, after it has happened. It may call the Breaker.
	// If it panics, so does the request that made the change. Zero means no hook.
	OnChange func(Change)
}

// Change is one change of the state of one key.
type Change struct {
	Key      string    // the host, or what Options.Key returned
	From, To State     // before and after it
	At       time.Time // when
}

// OptionError reports a field of [Options] that cannot be carried out. Its Package is "breaker".
// The type is that of ply.OptionError, too:
//
//	type OptionError struct {
//		Package string // "breaker"
//		Option  string // the name of the field
//		Reason  string // what is wrong with it and what to give instead
//		Err     error  // the cause, or nil; Unwrap returns it
//	}
type OptionError = optionerror.Error

func optionError(option, reason string) *OptionError {
	return &OptionError{Package: "breaker", Option: option, Reason: reason}
}

// Validate reports the first field that cannot be carried out, as *[OptionError].
func (o Options) Validate() error {
	if o.FailureRate < 0 || o.FailureRate > 1 || o.FailureRate != o.FailureRate {
		return optionError("FailureRate", fmt.Sprintf("is %v: give a share between 0 and 1, or zero for 0.7", o.FailureRate))
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MinRequests", int64(o.MinRequests)},
		{"Window", int64(o.Window)},
		{"OpenFor", int64(o.OpenFor)},
		{"Probes", int64(o.Probes)},
		{"ProbeTimeout", int64(o.ProbeTimeout)},
		{"MinTimeout", int64(o.MinTimeout)},
		{"MaxKeys", int64(o.MaxKeys)},
	} {
		if f.value < 0 {
			return optionError(f.name, fmt.Sprintf("is negative (%d): leave it out for the default", f.value))
		}
	}
	for i, rule := range o.Rules {
		if rule == nil {
			return optionError(fmt.Sprintf("Rules[%d]", i), "is nil: leave it out")
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	o.FailureRate = layer.Or(o.FailureRate, 0.7)
	o.MinRequests = layer.Or(o.MinRequests, 10)
	o.Window = layer.Or(o.Window, 10*time.Second)
	o.OpenFor = layer.Or(o.OpenFor, 5*time.Second)
	o.Probes = layer.Or(o.Probes, 1)
	o.ProbeTimeout = layer.Or(o.ProbeTimeout, 10*time.Second)
	o.MinTimeout = layer.Or(o.MinTimeout, time.Second)
	o.MaxKeys = layer.Or(o.MaxKeys, 1024)
	if o.Key == nil {
		o.Key = layer.Host
	}
	return o
}
