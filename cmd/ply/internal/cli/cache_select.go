package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply/middleware/cache"
)

// minKeyDigits is the least length of the beginning of a key.
const minKeyDigits = 8

// selectFlags choose entries, together with the arguments WHAT. An entry is chosen if one WHAT fits it, or there is none, and all flags do.
type selectFlags struct {
	tag, principal string
	stale          bool
	olderThan      time.Duration
}

func (f *selectFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.tag, "tag", "", "entries with this tag")
	flags.StringVar(&f.principal, "principal", "", "entries for the principal with this name (cache.WithPrincipal)")
	flags.BoolVar(&f.stale, "stale", false, "stale entries")
	flags.DurationVar(&f.olderThan, "older-than", 0, "entries received or last validated longer ago, as 36h")
}

// all reports whether nothing is left out.
func (f *selectFlags) all(what []string) bool {
	return len(what) == 0 && *f == selectFlags{}
}

// A selection is what WHAT and flags choose of a store. It is not safe for concurrent use.
type selection struct {
	either []*wanted
	flags  func(*cache.Entry) bool
}

// wanted is one WHAT.
type wanted struct {
	what string
	fits func(*cache.Entry) bool
	any  bool // it has fitted an entry
}

// choose returns what is chosen of c.
func (f *selectFlags) choose(c *openCache, what []string, now time.Time) (*selection, error) {
	if f.olderThan < 0 {
		return nil, usageErrorf("--older-than cannot be negative")
	}
	s := &selection{flags: func(e *cache.Entry) bool {
		return (f.tag == "" || e.HasTag(f.tag)) && (f.principal == "" || e.PrincipalIs(f.principal)) &&
			(!f.stale || !e.Fresh(now)) && (f.olderThan == 0 || now.Sub(e.Received()) > f.olderThan)
	}}
	for _, w := range what {
		fits, err := fitting(c, w)
		if err != nil {
			return nil, err
		}
		s.either = append(s.either, &wanted{what: w, fits: fits})
	}
	return s, nil
}

// has reports whether an entry is chosen.
func (s *selection) has(e *cache.Entry) bool {
	chosen := len(s.either) == 0
	for _, w := range s.either {
		if (!chosen || !w.any) && w.fits(e) {
			chosen, w.any = true, true
		}
	}
	return chosen && s.flags(e)
}

// patternForm says how a pattern is written.
const patternForm = "a pattern is a host, or a host and a path, as api.example.com/img/*.png, or ~ and a regular expression for the whole URL, as ~[.]png$"

// hintUnfit says which patterns have fitted no entry, whatever the flags leave out, once has has been asked about all.
func (s *selection) hintUnfit(e *env) {
	for _, w := range s.either {
		if !w.any && isPattern(w.what) {
			e.say("no entry fits the pattern %s: %s", printableLine(w.what), patternForm)
		}
	}
}

// fitting returns the condition of one WHAT.
func fitting(c *openCache, what string) (func(*cache.Entry) bool, error) {
	switch {
	case isKey(what):
		beginning := strings.ToLower(what)
		return func(e *cache.Entry) bool { return strings.HasPrefix(e.Key(), beginning) }, nil
	case isURL(what):
		return func(e *cache.Entry) bool { return e.URLIs(what) }, nil
	}
	fits, err := c.MatchURL(what)
	if err != nil {
		return nil, usageErrorf("%w", err)
	}
	return fits, nil
}

func isPattern(what string) bool { return !isKey(what) && !isURL(what) }

func isKey(what string) bool {
	return len(what) >= minKeyDigits && strings.Trim(what, "0123456789abcdefABCDEF") == ""
}

// isURL reports whether WHAT is one whole URL rather than a pattern.
func isURL(what string) bool {
	return strings.Contains(what, "://") && !strings.Contains(what, "*") && !strings.HasPrefix(what, "~")
}
