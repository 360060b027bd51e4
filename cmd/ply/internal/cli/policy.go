package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/resilience/hedge"
)

// policyHelp is the grammar of --policy.
const policyHelp = `A policy is "none", or words with commas between them, each once:

  cache, cache=shared           a private, or a shared, cache in memory
  fresh=DURATION                each response is fresh for so long, whatever the origin says
  stale-while-revalidate=D      a stale response is served while it is refreshed
  stale-if-error=D              a stale response stands in for an error
  retry=N                       a request that is safe to send again is sent N times at most
  attempt-timeout=D             each of these takes so long at most, to its header
  hedge=D                       a copy is sent of a request that has waited so long

The layers stand in their usual order: cache, retry, hedge.`

// A policy is a chain to be tried.
type policy struct {
	text           string
	caches, shared bool
	fresh          time.Duration
	whileRevalid   time.Duration
	ifError        time.Duration
	attempts       int
	attemptTimeout time.Duration
	hedge          time.Duration
}

// policyWords read the value of each word.
var policyWords = map[string]func(p *policy, value string) error{
	"cache": func(p *policy, value string) error {
		p.caches, p.shared = true, value == "shared"
		if value != "" && value != "shared" && value != "private" {
			return fmt.Errorf("cache is private or shared")
		}
		return nil
	},
	"fresh":                  durationWord(func(p *policy) *time.Duration { return &p.fresh }),
	"stale-while-revalidate": durationWord(func(p *policy) *time.Duration { return &p.whileRevalid }),
	"stale-if-error":         durationWord(func(p *policy) *time.Duration { return &p.ifError }),
	"attempt-timeout":        durationWord(func(p *policy) *time.Duration { return &p.attemptTimeout }),
	"hedge":                  durationWord(func(p *policy) *time.Duration { return &p.hedge }),
	"retry": func(p *policy, value string) (err error) {
		if p.attempts, err = strconv.Atoi(value); err != nil || p.attempts < 1 || p.attempts > 100 {
			return fmt.Errorf("retry wants a number from 1 to 100, as retry=3")
		}
		return nil
	},
}

func durationWord(at func(*policy) *time.Duration) func(*policy, string) error {
	return func(p *policy, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("it wants a duration above zero, as 500ms, 10s or 24h")
		}
		*at(p) = d
		return nil
	}
}

// parsePolicy reads a policy. An error shows the place.
func parsePolicy(text string) (*policy, error) {
	p := &policy{text: text}
	if strings.TrimSpace(text) == "none" {
		return p, nil
	}
	at, seen := 0, map[string]int{}
	for part := range strings.SplitSeq(text, ",") {
		start := at + len(part) - len(strings.TrimLeft(part, " "))
		at += len(part) + 1
		word, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		read := policyWords[word]
		_, twice := seen[word]
		switch {
		case word == "none":
			return nil, policyError(text, start, "none stands alone: it is the policy without layers")
		case word == "":
			return nil, policyError(text, start, "a word is missing")
		case read == nil:
			return nil, policyError(text, start, word+" is not known: none, "+strings.Join(slices.Sorted(maps.Keys(policyWords)), ", "))
		case twice:
			return nil, policyError(text, start, word+" is there twice")
		}
		seen[word] = start
		if err := read(p, value); err != nil {
			return nil, policyError(text, start+min(len(word)+1, len(strings.TrimSpace(part))), err.Error())
		}
	}
	for _, needs := range [...]struct{ word, other string }{
		{"fresh", "cache"}, {"stale-while-revalidate", "cache"}, {"stale-if-error", "cache"}, {"attempt-timeout", "retry"},
	} {
		place, has := seen[needs.word]
		if _, met := seen[needs.other]; has && !met {
			return nil, policyError(text, place, needs.word+" needs "+needs.other)
		}
	}
	return p, nil
}

// policyError is a usage error with the policy and a caret below the place.
func policyError(text string, at int, why string) error {
	return usageErrorf("--policy: %s\n  %s\n  %s^", why, text, strings.Repeat(" ", at))
}

// chain builds the layers over an origin.
func (p *policy) chain(origin http.RoundTripper) (http.RoundTripper, error) {
	rt := origin
	if p.hedge > 0 {
		h, err := hedge.New(hedge.Options{Delay: p.hedge})
		if err != nil {
			return nil, err
		}
		rt = h.Middleware(rt)
	}
	if p.attempts > 0 {
		rt = retry.New(retry.Options{MaxAttempts: p.attempts, AttemptTimeout: p.attemptTimeout})(rt)
	}
	if !p.caches {
		return rt, nil
	}
	o := cache.Options{Shared: p.shared, StaleWhileRevalidate: p.whileRevalid, StaleIfError: p.ifError, MaxStaleDisconnected: p.ifError}
	if p.fresh > 0 {
		o.Expiry = expiry.After(p.fresh)
	}
	c, err := cache.New(o)
	if err != nil {
		return nil, err
	}
	return struct {
		http.RoundTripper
		io.Closer
	}{c.Middleware(rt), c}, nil
}
