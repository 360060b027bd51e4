package rfc9111

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

func TestDueAhead(t *testing.T) {
	const s = time.Second
	received := time.Unix(1_700_000_000, 0)
	for name, test := range map[string]struct {
		rules  stored.Rules
		ask    Request
		takes  time.Duration
		age    time.Duration // of the response, on receipt
		after  time.Duration
		chance float64
		part   bool
		want   bool
	}{
		"before its last part":              {rules: stored.Rules{RefreshWithin: 20 * s}, after: 79 * s},
		"in its last part":                  {rules: stored.Rules{RefreshWithin: 20 * s}, after: 80 * s, want: true},
		"an age on receipt":                 {rules: stored.Rules{RefreshWithin: 20 * s}, age: 50 * s, after: 30 * s, want: true},
		"one that slides":                   {rules: stored.Rules{RefreshWithin: 20 * s, Sliding: true}, after: 200 * s, want: true},
		"nothing is said":                   {after: 99 * s},
		"XFetch, far from the end":          {rules: stored.Rules{XFetch: 1}, takes: 10 * s, chance: 1, after: 89 * s},
		"XFetch, as long as a fetch takes":  {rules: stored.Rules{XFetch: 1}, takes: 10 * s, chance: 1, after: 90 * s, want: true},
		"XFetch, by less chance":            {rules: stored.Rules{XFetch: 1}, takes: 10 * s, chance: 0.5, after: 94 * s},
		"XFetch, more eager":                {rules: stored.Rules{XFetch: 2}, takes: 10 * s, chance: 1, after: 80 * s, want: true},
		"XFetch, beside a part":             {rules: stored.Rules{XFetch: 1, RefreshWithin: 20 * s}, takes: s, chance: 1, after: 85 * s, want: true},
		"XFetch, of what takes no time":     {rules: stored.Rules{XFetch: 1}, chance: 50, after: 99 * s},
		"a request for what is stored":      {rules: stored.Rules{RefreshWithin: 20 * s}, after: 90 * s, ask: Request{Directives: field.Request{OnlyIfCached: true}}},
		"a mode for what is stored":         {rules: stored.Rules{RefreshWithin: 20 * s}, after: 90 * s, ask: Request{Mode: modeOnlyIfCached}},
		"a request that may store nothing":  {rules: stored.Rules{RefreshWithin: 20 * s}, after: 90 * s, ask: Request{Mode: ModeReadOnly}},
		"a part of a representation":        {rules: stored.Rules{RefreshWithin: 20 * s}, after: 90 * s, part: true},
		"a clock that was set back by much": {rules: stored.Rules{XFetch: 100}, takes: -10 * s, chance: 1, after: 99 * s},
	} {
		t.Run(name, func(t *testing.T) {
			e := &stored.Entry{Rules: test.rules, Received: received, Requested: received.Add(-test.takes), InitialAge: test.age}
			e.Rules.Lifetime = 100 * s
			if test.part {
				e.Part = &stored.ContentRange{Last: 9, Complete: 20}
			}
			if got := DueAhead(&test.ask, e, test.chance, received.Add(test.after)); got != test.want {
				t.Errorf("due: %t, want %t", got, test.want)
			}
		})
	}
}
