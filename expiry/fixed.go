package expiry

import (
	"time"
)

// After returns the strategy by which every response is good for d after it was received, whatever the server says.
// A d of zero or less is [Immediately].
func After(d time.Duration) Strategy {
	return strategyFunc(func(Exchange) Verdict { return Lifetime(d) })
}

// At returns the strategy by which every response is good until t, whatever the server says. Afterwards it is [Immediately].
func At(t time.Time) Strategy {
	return strategyFunc(func(x Exchange) Verdict { return Lifetime(t.Sub(x.Now)) })
}

// Never returns the strategy by which no response ever expires, whatever the server says.
func Never() Strategy {
	return After(forever)
}

// Immediately returns the strategy by which each response is validated before each use, whatever the server says.
// What cannot be validated is not stored.
func Immediately() Strategy {
	return After(0)
}

// DoNotCache returns the strategy by which nothing is stored.
func DoNotCache() Strategy {
	return strategyFunc(func(Exchange) Verdict { return Refuse() })
}
