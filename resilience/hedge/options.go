package hedge

import (
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/budget"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// Options say when a request is sent a second time while it is under way. The zero value is meant for production.
type Options struct {
	// Delay is how long a request waits for the header of its response before a copy is sent, and each copy before the next.
	// After a copy that was not sent, for want of room in a limit or because a breaker is open, it is the time to the next try, and doubles with each.
	// Zero means the Quantile of what requests of its key have taken.
	Delay time.Duration

	// Quantile is the share of requests that shall be left alone: 0.95 sends a copy of one in twenty. Zero means 0.95.
	Quantile float64

	// MinDelay is the least that the Quantile can give. Zero means 2 ms.
	MinDelay time.Duration

	// MinSamples is how many requests of a key must have been measured before the Quantile means anything; until then nothing is hedged.
	// Zero means 20, and 128 are kept at most.
	MinSamples int

	// MaxHedges is how many copies of one request are sent at most; one that a layer below has kept does not count. Zero means 1.
	MaxHedges int

	// Budget pays for copies. Give it the one that retry has, so that both together stay within bounds: see package budget.
	// Zero means a [budget.Budget] of this layer's own.
	Budget retry.Budget

	// Usable reports whether a response is an answer, so that those of the copies need not be waited for.
	// Zero means that it is, unless [retry.DefaultRule] would have an idempotent request sent again for it.
	Usable func(*http.Response) bool

	// Key names what shares measurements and an account of the budget. It must not block. Zero means the host and port of the URL.
	Key func(*http.Request) string

	// MaxKeys bounds the keys that are remembered beside those in use; the one unused the longest is forgotten. Zero means 1024.
	MaxKeys int
}

// OptionError reports a field of [Options] that cannot be carried out. Its Package is "hedge".
// The type is that of ply.OptionError, too:
//
//	type OptionError struct {
//		Package string // "hedge"
//		Option  string // the name of the field
//		Reason  string // what is wrong with it and what to give instead
//		Err     error  // the cause, or nil; Unwrap returns it
//	}
type OptionError = optionerror.Error

func optionError(option, reason string) *OptionError {
	return &OptionError{Package: "hedge", Option: option, Reason: reason}
}

// Validate reports the first field that cannot be carried out, as *[OptionError].
func (o Options) Validate() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Delay", int64(o.Delay)},
		{"MinDelay", int64(o.MinDelay)},
		{"MinSamples", int64(o.MinSamples)},
		{"MaxHedges", int64(o.MaxHedges)},
		{"MaxKeys", int64(o.MaxKeys)},
	} {
		if f.value < 0 {
			return optionError(f.name, fmt.Sprintf("is negative (%d): leave it out for the default", f.value))
		}
	}
	if o.Quantile != 0 && !(o.Quantile > 0 && o.Quantile < 1) {
		return optionError("Quantile", fmt.Sprintf("is %v: give a share between 0 and 1, or zero for 0.95", o.Quantile))
	}
	if o.MinSamples > samples {
		return optionError("MinSamples", fmt.Sprintf("is %d: no more than %d are kept", o.MinSamples, samples))
	}
	if v, ok := o.Budget.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return optionError("Budget", "is not usable: "+err.Error())
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	o.Quantile = layer.Or(o.Quantile, 0.95)
	o.MinDelay = layer.Or(o.MinDelay, 2*time.Millisecond)
	o.MinSamples = layer.Or(o.MinSamples, 20)
	o.MaxHedges = layer.Or(o.MaxHedges, 1)
	o.MaxKeys = layer.Or(o.MaxKeys, 1024)
	if o.Budget == nil {
		o.Budget = (&budget.Budget{}).For(budget.Hedge)
	}
	if o.Usable == nil {
		o.Usable = usable
	}
	if o.Key == nil {
		o.Key = layer.Host
	}
	return o
}

func usable(resp *http.Response) bool {
	return retry.DefaultRule(&retry.Attempt{Request: resp.Request, Response: resp, Number: 1, Idempotent: true, Wrote: true}) != retry.Retry
}
