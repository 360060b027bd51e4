package expiry

import (
	"time"
)

// After returns the strategy by which every response is good for d after it was received, whatever the server says.
// A d of zero or less is [Immediately].
func After(d time.Duration) Strategy {
	return strategyFunc(func(Exchange) Verdict { return Lifetime(d) })
}
