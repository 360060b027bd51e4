package expiry

import (
	"time"

	"github.com/plyhttp/ply/internal/freshness"
)

// After returns the strategy that keeps each response fresh for d after its receipt, whatever the server says.
// A d of zero or less is [AlwaysRevalidate].
func After(d time.Duration) Strategy {
	return strategyFunc(func(Exchange) Verdict { return Lifetime(d) })
}

// At returns the strategy that keeps each response fresh until t, whatever the server says. After t it is [AlwaysRevalidate].
func At(t time.Time) Strategy {
	return strategyFunc(func(x Exchange) Verdict { return Lifetime(t.Sub(x.Now)) })
}

// NeverExpires returns the strategy that keeps each response fresh forever, whatever the server says.
func NeverExpires() Strategy {
	return After(freshness.Forever)
}

// AlwaysRevalidate returns the strategy that has each response validated before each use, whatever the server says.
// A response that cannot be validated is not stored.
func AlwaysRevalidate() Strategy {
	return After(0)
}

// NoStore returns the strategy that stores nothing.
func NoStore() Strategy {
	return strategyFunc(func(Exchange) Verdict { return Refuse() })
}
