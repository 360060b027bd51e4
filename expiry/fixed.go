package expiry

import (
	"time"
)

// After returns the strategy by which every response is good for d after it was received, whatever the server says.
// A d of zero or less is [AlwaysRevalidate].
func After(d time.Duration) Strategy {
	return strategyFunc(func(Exchange) Verdict { return Lifetime(d) })
}

// At returns the strategy by which every response is good until t, whatever the server says. Afterwards it is [AlwaysRevalidate].
func At(t time.Time) Strategy {
	return strategyFunc(func(x Exchange) Verdict { return Lifetime(t.Sub(x.Now)) })
}

// NeverExpires returns the strategy by which no response ever expires, whatever the server says.
func NeverExpires() Strategy {
	return After(forever)
}

// AlwaysRevalidate returns the strategy by which each response is validated before each use, whatever the server says.
// What cannot be validated is not stored.
func AlwaysRevalidate() Strategy {
	return After(0)
}

// NoStore returns the strategy by which nothing is stored.
func NoStore() Strategy {
	return strategyFunc(func(Exchange) Verdict { return Refuse() })
}
