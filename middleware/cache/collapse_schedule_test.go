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

	"github.com/plyhttp/ply/middleware/cache"
)

// FuzzCollapseSchedule has a few callers meet on one key in an order that a seed decides: they join, are canceled, run into deadlines, close early, stall, or close
// while they read, and the origin is slow, fails, panics or breaks off. It holds in each order that
//   - a caller that stays has a whole body of its own key, or an error or a panic that the origin has caused, and never one that another caller has;
//   - a caller that leaves has gone at that moment;
//   - the origin is asked once, and once more at most for each fault and for each caller whose leaving can end an exchange;
//   - nothing is in flight afterwards, no body is open, and no goroutine is left.
func FuzzCollapseSchedule(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	for _, seed := range []uint64{3342, 3372, 3885} { // a close that read on for the end of the body stayed beyond its caller's deadline
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			s := &schedule{rng: rand.New(rand.NewPCG(seed, 1))}
			s.faulty = s.rng.IntN(3) == 0
			s.busy.answer = s.answer
			c, rt := newBusy(t, &s.busy, cache.Options{})
			members := make([]*member, 2+s.rng.IntN(7))
			var wg sync.WaitGroup
			for i := range members {
				members[i] = s.member(i)
			}
			for _, m := range members {
				wg.Go(func() { m.call(t, rt) })
			}
			wg.Wait()
			synctest.Wait()
			if asked, most := s.live.Load(), 1+ending(members, s.faults.Load() > 0)+s.faults.Load(); asked > most {
				t.Errorf("%d requests at the origin, want %d at most: %d callers, %d faults", asked, most, len(members), s.faults.Load())
			}
			if n := s.leftOpen(); n > 0 {
				t.Errorf("%d bodies are left open", n)
			}
			if s.panics.Load() > s.faults.Load() {
				t.Errorf("%d callers have panicked, for %d faults", s.panics.Load(), s.faults.Load())
			}
			nothingInFlight(t, c)
		})
	})
}

// schedule is what a seed has decided, and what came of it.
type schedule struct {
	busy
	mu     sync.Mutex // guards rng
	rng    *rand.Rand
	faulty bool

	live           atomic.Int64 // requests at the origin, without those of callers that had left before
	faults, panics atomic.Int64
}

func (s *schedule) n(below int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(below)
}

var errInjected = errors.New("a fault of the origin")

func (s *schedule) answer(r *http.Request, n int) (*http.Response, error) {
	if r.Context().Err() == nil {
		s.live.Add(1)
	}
	if err := pause(r.Context(), 1+s.n(20)); err != nil {
		return nil, err
	}
	fault := 0
	if s.faulty {
		fault = s.n(6)
	}
	body := &scheduled{unhurried: unhurried{ctx: r.Context(), pause: time.Duration(s.n(5)) * time.Millisecond, piece: 1 + s.n(2000)}, at: -1}
	body.rest = sealed("k", n, 1+s.n(6000))
	resp := sends(body.rest, "Cache-Control: max-age=600")
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

// scheduled is a body that breaks off, or panics, when only so many bytes are left; with at negative it does not.
type scheduled struct {
	unhurried
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
	return b.unhurried.Read(p)
}

// member is one caller of a schedule.
type member struct {
	*schedule
	name     int
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
	m := &member{schedule: s, name: i, arrives: ms(40), closesAt: -1}
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
		if value := recover(); value != nil {
			m.panics.Add(1)
			if err, ok := value.(error); !ok || !errors.Is(err, errInjected) {
				t.Errorf("caller %d: panic %v", m.name, value)
			}
		}
		m.left = left || ctx.Err() != nil
		if m.ends > 0 && time.Since(began) > m.ends+m.stalls {
			t.Errorf("caller %d has gone %v after it began, not after %v", m.name, time.Since(began), m.ends)
		}
	}()
	content, left, err := m.read(rt, ask(t, ctx))
	switch {
	case left, ctx.Err() != nil && errors.Is(err, ctx.Err()):
	case err == nil:
		if key, _, err := unsealed(content); err != nil || key != "k" {
			t.Errorf("caller %d: a body for %q, %v", m.name, key, err)
		}
	case m.faults.Load() == 0 || errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		t.Errorf("caller %d, who has not left: %v", m.name, err)
	}
}

// read reads the answer in the caller's way. left is true if it has closed the body before its end.
func (m *member) read(rt http.RoundTripper, r *http.Request) (content string, left bool, err error) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return "", false, err
	}
	var closed atomic.Bool
	defer resp.Body.Close()
	if m.closing > 0 {
		timer := time.AfterFunc(m.closing, func() {
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
