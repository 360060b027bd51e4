package limit

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/optionerror"
	"github.com/plyhttp/ply/resilience/internal/layer"
)

// Options say how much a server gets. All bounds are for each key by itself. The zero value limits nothing.
type Options struct {
	// Rate is how many requests may begin per second. Zero means any number.
	Rate float64

	// Burst is how many may begin at once after a pause, at least 1. Zero means as many as Rate allows in a tenth of a second.
	Burst int

	// InFlight is how many requests may be under way, from the grant of a slot to the end of the response's body. Zero means any number, or 1000 with Adaptive.
	InFlight int

	// Adaptive finds how many requests may be under way, up to InFlight, by how the server answers. Zero means that InFlight holds as it is.
	Adaptive *Adaptive

	// Queue is how many requests may wait. One more fails at once. Zero means 1000, negative none.
	Queue int

	// MaxWait is how long a request may wait. Zero means until the deadline of its context.
	MaxWait time.Duration

	// MaxRetryAfter bounds the pause that a 429 or 503 with Retry-After makes for all requests of its key, with Adaptive.
	// Zero means one minute, negative that Retry-After is ignored.
	MaxRetryAfter time.Duration

	// Key names what has limits of its own. It must not block, and what it returns is in errors, so that it must not be a secret. Zero means the host and port of the URL.
	Key func(*http.Request) string

	// MaxKeys bounds the keys that are remembered beside those in use; the one unused the longest is forgotten, its rate and what was found out of it with it.
	// Zero means 1024.
	MaxKeys int
}

// Adaptive says how the number of requests under way is found: additive increase, multiplicative decrease.
// As long as the server answers as fast as it can, and the slots are used, there is one more for each round of answers. When the time to the header of the response
// grows to more than Tolerance times its best, there are 10 % less; when the server answers 429, or 503 with Retry-After, or not in time, 30 % less; once per round.
// Where it is bodies that hold the slots, and less than half of them wait for the server, there is one more for each request that finds none: long streams do not lock others out.
// The best is measured anew while there are slots to spare, and when there are no more than Min: then it is not this client that makes the server slow.
type Adaptive struct {
	Initial   int     // slots to begin with. Zero means 20, or InFlight if that is less
	Min       int     // slots that there are in any case. Zero means 2, or InFlight if that is less
	Tolerance float64 // above 1. Zero means 2
}

// OptionError reports a field of [Options] that cannot be carried out. Its Package is "limit".
// The type is that of ply.OptionError, too:
//
//	type OptionError struct {
//		Package string // "limit"
//		Option  string // the name of the field
//		Reason  string // what is wrong with it and what to give instead
//		Err     error  // the cause, or nil; Unwrap returns it
//	}
type OptionError = optionerror.Error

func optionError(option, reason string) *OptionError {
	return &OptionError{Package: "limit", Option: option, Reason: reason}
}

// Validate reports the first field that cannot be carried out, as *[OptionError].
func (o Options) Validate() error {
	if o.Rate < 0 || math.IsNaN(o.Rate) || math.IsInf(o.Rate, 0) {
		return optionError("Rate", fmt.Sprintf("is %v: give requests per second, or zero for no limit", o.Rate))
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Burst", int64(o.Burst)},
		{"InFlight", int64(o.InFlight)},
		{"MaxWait", int64(o.MaxWait)},
		{"MaxKeys", int64(o.MaxKeys)},
	} {
		if f.value < 0 {
			return optionError(f.name, fmt.Sprintf("is negative (%d): leave it out for the default", f.value))
		}
	}
	if o.Burst > 0 && o.Rate == 0 {
		return optionError("Burst", "means nothing without Rate: give both")
	}
	if o.Adaptive == nil {
		return nil
	}
	return o.Adaptive.validate(layer.Or(o.InFlight, defaultInFlight))
}

// validate reports what is wrong with a, where at most that many requests are in flight.
func (a *Adaptive) validate(most int) error {
	if a.Initial < 0 || a.Min < 0 || a.Initial > most || a.Min > most || a.Initial != 0 && a.Min > a.Initial {
		return optionError("Adaptive", fmt.Sprintf("must have Min ≤ Initial ≤ %d, none of them negative", most))
	}
	if a.Tolerance != 0 && !(a.Tolerance > 1) {
		return optionError("Adaptive", "must have a Tolerance above 1, or zero for 2")
	}
	return nil
}

const defaultInFlight = 1000

func (o Options) withDefaults() Options {
	if o.Rate > 0 && o.Burst == 0 {
		o.Burst = max(1, int(o.Rate/10))
	}
	if o.Adaptive != nil {
		o.InFlight = layer.Or(o.InFlight, defaultInFlight)
		a := *o.Adaptive
		a.Min = layer.Or(a.Min, min(2, o.InFlight, layer.Or(a.Initial, 2)))
		a.Initial = layer.Or(a.Initial, max(a.Min, min(20, o.InFlight)))
		a.Tolerance = layer.Or(a.Tolerance, 2)
		o.Adaptive = &a
	}
	o.Queue = layer.Or(o.Queue, 1000)
	o.MaxRetryAfter = layer.Or(o.MaxRetryAfter, time.Minute)
	o.MaxKeys = layer.Or(o.MaxKeys, 1024)
	if o.Key == nil {
		o.Key = layer.Host
	}
	return o
}

// slots reports whether requests under way are counted.
func (o *Options) slots() bool { return o.InFlight > 0 }
