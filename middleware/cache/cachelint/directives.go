package cachelint

import (
	"fmt"
	"slices"

	"github.com/plyhttp/ply/internal/field"
)

// directiveRules are about Cache-Control itself (RFC 9111 §5.2).
var directiveRules = []singleRule{
	{Rule{"malformed-directive", Error, "RFC 9111 §5.2, §1.2.2", "Write directives as name or name=value, separated by commas, without spaces around the equals sign; a number of seconds has digits only."}, malformed},
	{Rule{"misspelled-directive", Error, "RFC 9111 §5.2.3", "Correct the name: caches ignore a directive that they do not know."}, misspelled},
	{Rule{"repeated-directive", Warning, "RFC 9111 §4.2.1", "Send each directive once: caches disagree about which one counts. Often a proxy or a framework adds its own."}, repeated},
	{Rule{"no-store-contradicted", Warning, "RFC 9111 §5.2.2.5", "Decide: drop no-store to have it cached, or send no-store alone."}, noStoreContradicted},
	{Rule{"private-contradicted", Warning, "RFC 9111 §5.2.2.7", "Decide: private for one user's cache, or public and s-maxage for shared ones."}, privateContradicted},
	{Rule{"immutable-contradicted", Warning, "RFC 8246 §2", "Give immutable a max-age beside it and no no-cache: it says that nothing changes within the lifetime."}, immutableContradicted},
	{Rule{"stale-window-contradicted", Warning, "RFC 9111 §4.2.4, RFC 5861 §3, §4", "Decide: drop must-revalidate or no-cache to have it served stale for a while, or drop the window."}, staleContradicted},
	{Rule{"request-directive", Warning, "RFC 9111 §5.2.1", "Leave it out: requests send it, and in a response caches ignore it."}, requestDirective},
	{Rule{"must-understand-alone", Note, "RFC 9111 §5.2.2.3", "Send no-store beside it, for caches that do not know must-understand."}, mustUnderstandAlone},
	{Rule{"pragma-only", Warning, "RFC 9111 §5.4", "Send Cache-Control: Pragma means nothing in a response."}, pragmaOnly},
}

// seconds are the directives that take a number of seconds.
var seconds = []string{"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"}

func malformed(v *view) (text, evidence string) {
	for _, d := range v.directives {
		_, number := field.DeltaSeconds(d.Value)
		switch {
		case slices.Contains(seconds, d.Name) && !number:
			return fmt.Sprintf("The argument of %s is no number of seconds, so caches take it for 0 or ignore it.", d.Name), v.lines("Cache-Control")
		case d.Malformed:
			return fmt.Sprintf("The directive %q does not follow the grammar, so each cache reads something else.", d.Name), v.lines("Cache-Control")
		}
	}
	return "", ""
}

// slips are names that servers write for others.
var slips = map[string]string{
	"maxage": "max-age", "max_age": "max-age", "max-ages": "max-age", "s-max-age": "s-maxage", "smaxage": "s-maxage", "s_maxage": "s-maxage",
	"nocache": "no-cache", "no_cache": "no-cache", "nostore": "no-store", "no_store": "no-store",
	"must_revalidate": "must-revalidate", "mustrevalidate": "must-revalidate", "must-revalidated": "must-revalidate", "revalidate": "must-revalidate",
	"proxy_revalidate": "proxy-revalidate", "stale_while_revalidate": "stale-while-revalidate", "stale-while-revalidation": "stale-while-revalidate", "stale_if_error": "stale-if-error",
	"expires": "max-age", "inmutable": "immutable",
}

func misspelled(v *view) (text, evidence string) {
	for _, d := range v.directives {
		if meant := slips[d.Name]; meant != "" {
			return fmt.Sprintf("There is no directive %s, so caches ignore it: %s is meant.", d.Name, meant), v.lines("Cache-Control")
		}
	}
	return "", ""
}

func repeated(v *view) (text, evidence string) {
	seen := map[string]string{}
	for _, d := range v.directives {
		if before, known := seen[d.Name]; known && d.Name != "" && !d.Malformed {
			if before == d.Value {
				return fmt.Sprintf("%s is there twice.", d.Name), v.lines("Cache-Control")
			}
			return fmt.Sprintf("%s is there twice, with different arguments: some caches take the first, some the smallest, some none.", d.Name), v.lines("Cache-Control")
		}
		seen[d.Name] = d.Value
	}
	return "", ""
}

func noStoreContradicted(v *view) (text, evidence string) {
	d := &v.d
	if !d.NoStore || d.MustUnderstand {
		return "", ""
	}
	switch {
	case d.MaxAge.Set && d.MaxAge.Value > 0, d.SMaxAge.Set && d.SMaxAge.Value > 0:
		return "no-store stands beside a lifetime, which therefore means nothing.", v.lines("Cache-Control")
	case d.Public, d.Immutable:
		return "no-store stands beside public or immutable, which therefore mean nothing.", v.lines("Cache-Control")
	}
	return "", ""
}

func privateContradicted(v *view) (text, evidence string) {
	switch d := &v.d; {
	case !d.Private || d.NoStore:
	case d.Public:
		return "private and public contradict each other; caches obey private.", v.lines("Cache-Control")
	case d.SMaxAge.Set && d.SMaxAge.Value > 0:
		return "private forbids shared caches to store it, and s-maxage is for shared caches alone.", v.lines("Cache-Control")
	}
	return "", ""
}

func immutableContradicted(v *view) (text, evidence string) {
	switch d := &v.d; {
	case !d.Immutable || d.NoStore:
	case d.NoCache:
		return "no-cache has each use validated, and immutable says that none need be.", v.lines("Cache-Control")
	case !v.lifetime.Explicit || v.lifetime.Value == 0:
		return "immutable counts while the response is fresh, and nothing gives it a lifetime.", v.lines("Cache-Control", "Expires")
	}
	return "", ""
}

func staleContradicted(v *view) (text, evidence string) {
	d := &v.d
	if window := d.StaleWhileRevalidate.Value > 0 || d.StaleIfError.Value > 0; !window || d.NoStore {
		return "", ""
	}
	switch {
	case d.MustRevalidate:
		return "must-revalidate forbids that it is served stale, so stale-while-revalidate and stale-if-error mean nothing.", v.lines("Cache-Control")
	case d.NoCache:
		return "no-cache has each use validated, so stale-while-revalidate and stale-if-error mean nothing.", v.lines("Cache-Control")
	}
	return "", ""
}

func requestDirective(v *view) (text, evidence string) {
	for _, d := range v.directives {
		switch d.Name {
		case "max-stale", "min-fresh", "only-if-cached":
			return d.Name + " is a directive of requests, and means nothing in a response.", v.lines("Cache-Control")
		}
	}
	return "", ""
}

func mustUnderstandAlone(v *view) (text, evidence string) {
	if v.d.MustUnderstand && !v.d.NoStore {
		return "must-understand stands without no-store, so that a cache that does not know it stores the response all the same.", v.lines("Cache-Control")
	}
	return "", ""
}

func pragmaOnly(v *view) (text, evidence string) {
	if v.has("Pragma") && !v.d.Present {
		return "Pragma is all that speaks of caching, and no RFC gives it a meaning in a response.", v.lines("Pragma")
	}
	return "", ""
}
