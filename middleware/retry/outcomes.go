package retry

import "github.com/plyhttp/ply/internal/attempt"

// AttemptOutcomes returns the outcomes of all attempts, for the record of a call.
func (c *call) AttemptOutcomes() []attempt.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]attempt.Outcome, len(c.outcomes))
	for i, o := range c.outcomes {
		all[i] = attempt.Outcome{Status: o.Status, Err: o.Err, Wait: o.Wait, Duration: o.Duration}
	}
	return all
}
