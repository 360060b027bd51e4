package retry

import (
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxCoolDowns bounds how many keys are remembered. A forgotten key costs a request.
const maxCoolDowns = 1024

// coolDowns remember how long servers asked for no requests.
type coolDowns struct {
	// any is false while there are no keys, so that most calls take no lock.
	any atomic.Bool

	mu   sync.Mutex // guards the field below
	keys *simplelru.LRU[string, coolDownPeriod]
}

// coolDownPeriod is what one server asked for.
type coolDownPeriod struct {
	until time.Time
	long  bool // it asked for more than a call may wait
}

func (s *coolDowns) set(key string, r coolDownPeriod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys, _ = simplelru.NewLRU[string, coolDownPeriod](maxCoolDowns, nil)
	}
	if old, ok := s.keys.Get(key); ok && old.until.After(r.until) {
		return
	}
	s.keys.Add(key, r)
	s.any.Store(true)
}

func (s *coolDowns) get(key string, now time.Time) (coolDownPeriod, bool) {
	if !s.any.Load() {
		return coolDownPeriod{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.keys.Get(key)
	if ok && !r.until.After(now) {
		s.keys.Remove(key)
		s.any.Store(s.keys.Len() > 0)
		return coolDownPeriod{}, false
	}
	return r, ok
}

// startCoolDown starts a cool-down if the response asks for one.
func (c *call) startCoolDown(resp *http.Response) {
	if !c.opts.CoolDown || resp == nil {
		return
	}
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return
	}
	now := time.Now()
	asked, ok := c.asked(resp, now)
	if !ok {
		return
	}
	long := asked > c.opts.MaxRetryAfter
	c.coolDowns.set(c.key, coolDownPeriod{until: now.Add(min(asked, c.opts.MaxRetryAfter)), long: long})
}

// coolDown waits before the first attempt if the server asked for it, and returns how long it waited.
// While it waits, the answer to another call may ask for more: then it goes on waiting.
func (c *call) coolDown() (waited time.Duration, err error) {
	if !c.opts.CoolDown {
		return 0, nil
	}
	for {
		now := time.Now()
		r, ok := c.coolDowns.get(c.key, now)
		if !ok {
			return waited, nil
		}
		wait, err := c.waitOut(r, now)
		if err != nil {
			return 0, err
		}
		waited += wait
	}
}

// waitOut waits until a cool-down is over, and returns how long that took.
// It adds up to a tenth of the wait at random, so that the waiting calls do not all resume at once.
func (c *call) waitOut(r coolDownPeriod, now time.Time) (time.Duration, error) {
	wait := r.until.Sub(now)
	wait += below(min(wait/10, math.MaxInt64-wait))
	if r.long || !c.fits(now.Add(wait)) {
		deadline, ok := c.Deadline()
		return 0, c.unsent(StopCoolDown, &CoolDownError{Key: c.key, Until: r.until, deadline: ok && !r.until.Before(deadline)})
	}
	if err := sleep(c, wait); err != nil {
		p := gone(err)
		return 0, c.unsent(p.stop, c.newError(p))
	}
	return wait, nil
}

// unsent ends a call that made no attempt, with err.
func (c *call) unsent(why Stop, err error) error {
	c.tried = Attempt{Request: c.req, Err: err, Idempotent: c.idempotent}
	c.stopped(why)
	c.event(c.opts.OnGiveUp, 0)
	return err
}
