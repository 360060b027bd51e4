package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzCollapseSchedule has a few callers meet on one key, or on two, in an order that a seed decides: they join, are canceled, run into deadlines, close early, stall,
// or close while they read, and the origin is slow, fails, panics or breaks off. around says what else is in trouble: a byte store, hooks, or how long answers hold.
// It holds in each order that
//   - a caller that stays has a whole body of its own key, or an error or a panic that a fault has caused, and never one that another caller has;
//   - a caller that leaves has gone at that moment, and one that stays when all that the origin and the store have taken together is over, at the latest;
//   - the origin is asked once, and once more at most for each fault and for each caller whose leaving can end an exchange;
//   - nothing is in flight afterwards, no body is open, and no goroutine is left;
//   - when the trouble is over, the next caller has its answer, and the one after it has that from the store.
func FuzzCollapseSchedule(f *testing.F) {
	for seed := range uint64(100) { // more by -fuzz FuzzCollapseSchedule, as test.sh does
		f.Add(seed, byte(0))
		f.Add(seed, byte(1+seed*7%127))
	}
	for _, seed := range []uint64{3342, 3372, 3885} { // a close that read on for the end of the body stayed beyond its caller's deadline
		f.Add(seed, byte(0))
	}
	f.Add(uint64(47), storeTrouble|answersVary|twoKeys) // a reader that was alone waited for the store beyond its deadline
	f.Fuzz(func(t *testing.T, seed uint64, around byte) {
		synctest.Test(t, func(t *testing.T) {
			s := &schedule{rng: rand.New(rand.NewPCG(seed, 1)), around: around}
			s.faulty = s.rng.IntN(3) == 0
			s.busy.answer = s.answer
			c, rt := newBusy(t, &s.busy, s.options())
			members := make([]*member, 2+s.rng.IntN(7))
			var wg sync.WaitGroup
			for i := range members {
				members[i] = s.member(i)
			}
			for _, m := range members {
				wg.Go(func() { m.call(t, rt) })
			}
			wg.Wait()
			time.Sleep(time.Second) // what the store has been told may go on behind the callers
			synctest.Wait()
			if asked, most := s.live.Load(), s.mostAsked(members); asked > most {
				t.Errorf("%d requests at the origin, want %d at most: %d callers, %d faults", asked, most, len(members), s.faults.Load())
			}
			if n := s.leftOpen(); n > 0 {
				t.Errorf("%d bodies are left open", n)
			}
			if s.panics.Load() > s.faults.Load() {
				t.Errorf("%d callers have panicked, for %d faults", s.panics.Load(), s.faults.Load())
			}
			nothingInFlight(t, c)
			s.afterwards(t, rt)
		})
	})
}

// schedule is what a seed has decided, and what came of it.
type schedule struct {
	busy
	mu     sync.Mutex // guards rng
	rng    *rand.Rand
	faulty bool
	around byte
	over   atomic.Bool // the trouble

	live           atomic.Int64 // requests at the origin, without those of callers that had left before
	faults, panics atomic.Int64 // of the origin, the store and hooks; that callers have seen
	taken          atomic.Int64 // nanoseconds, by the origin and the store
}

func (s *schedule) n(below int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(below)
}

var errInjected = errors.New("a fault of the schedule")

func (s *schedule) answer(r *http.Request, n int) (*http.Response, error) {
	if r.Context().Err() == nil {
		s.live.Add(1)
	}
	if err := pause(r.Context(), s.takes(1+s.n(20))); err != nil {
		return nil, err
	}
	fault := 0
	if s.faulty && !s.over.Load() {
		fault = s.n(6)
	}
	body := &scheduled{schedule: s, unhurried: unhurried{ctx: r.Context(), pause: time.Duration(s.n(5)) * time.Millisecond, piece: 1 + s.n(2000)}, at: -1}
	resp := s.content(r, n)
	if resp.Body == http.NoBody {
		return resp, nil
	}
	content, _ := io.ReadAll(resp.Body)
	body.rest = string(content)
	body.piece *= 1 + len(content)/6000
	switch fault {
	case 1:
		s.faults.Add(1)
		return nil, errInjected
	case 2:
		s.faults.Add(1)
		panic(errInjected)
	case 3, 4:
		s.faults.Add(1)
		body.at, body.panics = s.n(len(body.rest)), fault == 4
	}
	resp.Body = body
	return resp, nil
}

// takes counts milliseconds that callers may have to wait.
func (s *schedule) takes(ms int) int {
	s.taken.Add(int64(ms) * int64(time.Millisecond))
	return ms
}

// scheduled is a body that breaks off, or panics, when only so many bytes are left; with at negative it does not.
type scheduled struct {
	unhurried
	*schedule
	at     int
	panics bool
}

func (b *scheduled) Read(p []byte) (int, error) {
	switch broken := len(b.rest) <= b.at; {
	case broken && b.panics:
		panic(errInjected)
	case broken:
		return 0, errInjected
	}
	b.taken.Add(int64(b.pause))
	return b.unhurried.Read(p)
}

// member is one caller of a schedule.
type member struct {
	*schedule
	name     int
	key      string
	arrives  time.Duration
	ends     time.Duration // when it is canceled, or its deadline passes; zero for never
	deadline bool
	endless  bool // its context cannot end
	closesAt int  // bytes after which it closes; negative for never
	stalls   time.Duration
	closing  time.Duration // when another goroutine closes the body; zero for never
	left     bool          // it has left before the end
}

// ending is how many have left that can have been the last of an exchange. None can be that came after one that stays, unless a fault has ended the exchange
// that this one had joined, or a deadline has passed in it, after which no request joins it.
func ending(members []*member, anew bool) int64 {
	stays := time.Hour
	for _, m := range members {
		anew = anew || m.left && m.deadline
		if m.ends == 0 && m.closesAt < 0 && m.closing == 0 {
			stays = min(stays, m.arrives)
		}
	}
	n := int64(0)
	for _, m := range members {
		if m.left && (anew || m.arrives <= stays) {
			n++
		}
	}
	return n
}

func (s *schedule) member(i int) *member {
	ms := func(below int) time.Duration { return time.Duration(1+s.n(below)) * time.Millisecond }
	m := &member{schedule: s, name: i, key: "k", arrives: ms(40), closesAt: -1}
	if s.around&twoKeys != 0 && i%2 == 1 {
		m.key = "l"
	}
	switch s.n(4) {
	case 0:
		m.endless = true
	case 1:
		m.ends = ms(40)
	case 2:
		m.ends, m.deadline = ms(60), true
	}
	switch s.n(6) {
	case 0:
		m.closesAt = s.n(3000)
	case 1:
		m.stalls = ms(50)
	case 2:
		m.closing = ms(30)
	}
	return m
}

func (m *member) call(t *testing.T, rt http.RoundTripper) {
	time.Sleep(m.arrives)
	ctx, cancel := context.WithCancel(t.Context())
	switch {
	case m.endless:
		cancel()
		ctx, cancel = context.Background(), func() {}
	case m.deadline:
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), m.ends)
	case m.ends > 0:
		time.AfterFunc(m.ends, cancel)
	}
	defer cancel()
	began := time.Now()
	var left bool
	defer func() {
		m.panicked(t, recover())
		m.left = left || ctx.Err() != nil
		most := time.Duration(m.taken.Load())
		if m.ends > 0 {
			most = m.ends
		}
		if took := time.Since(began); took > most+m.stalls {
			t.Errorf("caller %d has gone %v after it began, not after %v", m.name, took, most)
		}
	}()
	content, left, err := m.read(t, rt, m.asks(t, ctx, m.key))
	switch {
	case left, ctx.Err() != nil && errors.Is(err, ctx.Err()):
	case err == nil:
		if key, _, err := unsealed(content); err != nil || key != m.key {
			t.Errorf("caller %d: a body for %q, %v", m.name, key, err)
		}
	case m.faults.Load() == 0 || errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		t.Errorf("caller %d, who has not left: %v", m.name, err)
	}
}

// panicked notes what a caller has seen, which must be from a fault.
func (m *member) panicked(t *testing.T, value any) {
	if value == nil {
		return
	}
	m.panics.Add(1)
	if err, ok := value.(error); !ok || !errors.Is(err, errInjected) {
		t.Errorf("caller %d: panic %v", m.name, value)
	}
}

// read reads the answer in the caller's way. left is true if it has closed the body before its end.
func (m *member) read(t *testing.T, rt http.RoundTripper, r *http.Request) (content string, left bool, err error) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return "", false, err
	}
	var closed atomic.Bool
	defer resp.Body.Close()
	if m.closing > 0 {
		timer := time.AfterFunc(m.closing, func() {
			defer func() { m.panicked(t, recover()) }()
			closed.Store(true)
			resp.Body.Close()
		})
		defer timer.Stop()
	}
	if m.closesAt >= 0 {
		_, err := io.CopyN(io.Discard, resp.Body, int64(m.closesAt))
		return "", true, err
	}
	time.Sleep(m.stalls)
	b, err := io.ReadAll(resp.Body)
	if closed.Load() && err != nil {
		return "", true, nil
	}
	if err != nil {
		err = fmt.Errorf("after %d bytes: %w", len(b), err)
	}
	return string(b), false, err
}
