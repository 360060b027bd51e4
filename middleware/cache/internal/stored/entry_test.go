package stored

import (
	"testing"
	"time"
)

// The clock that says longer counts: a machine that slept, or whose clock was set forward, has old responses.
func TestResidentTimeByBothClocks(t *testing.T) {
	now := time.Now()
	e := &Entry{Received: now}
	if got := e.ResidentTime(now.Round(0).Add(time.Hour)); got != time.Hour {
		t.Errorf("wall clock an hour ahead: %v", got)
	}
	if got := e.ResidentTime(now.Add(-time.Hour)); got != 0 {
		t.Errorf("clock an hour back: %v", got)
	}
}

// RFC 9211 §2.4: ttl tells fresh from stale to the last.
func TestTTL(t *testing.T) {
	received := time.Unix(1_700_000_000, 0)
	e := &Entry{Received: received, Rules: Rules{Lifetime: 10 * time.Second}}
	for after, want := range map[time.Duration]int{
		0: 10, 400 * time.Millisecond: 9, 9 * time.Second: 1, 9900 * time.Millisecond: 1, 10 * time.Second: 0, 10100 * time.Millisecond: -1, 12 * time.Second: -2,
	} {
		if got := e.TTL(received.Add(after)); got != time.Duration(want)*time.Second {
			t.Errorf("after %v: %v, want %d s", after, got, want)
		}
	}
}
