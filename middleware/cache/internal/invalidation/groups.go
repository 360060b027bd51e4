package invalidation

import (
	"net/http"

	"github.com/plyhttp/ply/internal/field"
)

// MaxGroups bounds the groups of one response, and those that one response invalidates by name; RFC 9875 §2 asks for 32 at least.
// Beyond it, the stricter reading counts: a response is not stored, and an invalidation is about all groups of the origin.
const MaxGroups = 128

// GroupNames returns the names of the groups that a field lists, each once (RFC 9875 §2, §3). It reports false if they are more than MaxGroups.
func GroupNames(lines []string) (names []string, all bool) {
	if len(lines) == 0 {
		return nil, true
	}
	list, ok := field.ParseList(lines)
	if !ok {
		return nil, true
	}
	seen := make(map[string]struct{}, min(len(list), MaxGroups))
	for _, item := range list {
		name, ok := item.Value.(string)
		if _, again := seen[name]; !ok || again {
			continue
		}
		if len(names) == MaxGroups {
			return names, false
		}
		seen[name], names = struct{}{}, append(names, name)
	}
	return names, true
}

// UnstorableGroups refuses a response with more groups than are kept: the invalidation of one of the others would not reach it.
func UnstorableGroups(h http.Header) string {
	if _, all := GroupNames(h["Cache-Groups"]); !all {
		return "more than 128 cache groups"
	}
	return ""
}
