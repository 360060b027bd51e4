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

// choose returns the condition for an entry of c.
func (f *selectFlags) choose(c *openCache, what []string, now time.Time) (func(*cache.Entry) bool, error) {
	if f.olderThan < 0 {
		return nil, usageErrorf("--older-than cannot be negative")
	}
	var either []func(*cache.Entry) bool
	for _, w := range what {
		fits, err := fitting(c, w)
		if err != nil {
			return nil, err
		}
		either = append(either, fits)
	}
	return func(e *cache.Entry) bool {
		if f.tag != "" && !e.HasTag(f.tag) || f.principal != "" && !e.PrincipalIs(f.principal) ||
			f.stale && e.Fresh(now) || f.olderThan > 0 && now.Sub(e.Received()) <= f.olderThan {
			return false
		}
		for _, fits := range either {
			if fits(e) {
				return true
			}
		}
		return len(either) == 0
	}, nil
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

func isKey(what string) bool {
	return len(what) >= minKeyDigits && strings.Trim(what, "0123456789abcdefABCDEF") == ""
}

// isURL reports whether WHAT is one whole URL rather than a pattern.
func isURL(what string) bool {
	return strings.Contains(what, "://") && !strings.Contains(what, "*") && !strings.HasPrefix(what, "~")
}
