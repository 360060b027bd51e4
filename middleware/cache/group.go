package cache

import (
	"net/http"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
)

// maxGroups bounds the groups of one response, and those that one response invalidates by name; RFC 9875 §2 asks for 32 at least.
// Beyond it, the stricter reading counts: a response is not stored, and an invalidation is about all groups of the origin.
const maxGroups = 128

// groupNames returns the names of the groups that a field lists, each once (RFC 9875 §2, §3). It is false if these are more than maxGroups.
func groupNames(lines []string) (names []string, all bool) {
	if len(lines) == 0 {
		return nil, true
	}
	list, ok := field.ParseList(lines)
	if !ok {
		return nil, true
	}
	seen := make(map[string]struct{}, min(len(list), maxGroups))
	for _, item := range list {
		name, ok := item.Value.(string)
		if _, again := seen[name]; !ok || again {
			continue
		}
		if len(names) == maxGroups {
			return names, false
		}
		seen[name], names = struct{}{}, append(names, name)
	}
	return names, true
}

// unstorableGroups refuses a response that belongs to more groups than can be kept: the invalidation of one of the others would not reach it.
func unstorableGroups(h http.Header) string {
	if _, all := groupNames(h["Cache-Groups"]); !all {
		return "more than 128 cache groups"
	}
	return ""
}

// groupsOf returns the tags of the groups that a response belongs to, and the one of all groups of its origin.
func (c *Cache) groupsOf(r *http.Request, h http.Header) []tag {
	names, _ := groupNames(h["Cache-Groups"])
	if len(names) == 0 {
		return nil
	}
	return append(c.groupTags(r, names), c.everyGroup(r))
}

// groupsEnded returns the tags of the groups that a response invalidates.
func (c *Cache) groupsEnded(r *http.Request, h http.Header) []tag {
	names, all := groupNames(h["Cache-Group-Invalidation"])
	switch {
	case !all:
		return []tag{c.everyGroup(r)}
	case len(names) == 0:
		return nil
	}
	return c.groupTags(r, names)
}

// groupTags returns the tags of groups, which are known by their names and their origin.
func (c *Cache) groupTags(r *http.Request, names []string) []tag {
	origin := c.groupOrigin('g', r)
	tags := make([]tag, len(names))
	for i, name := range names {
		tags[i] = newTag(append(origin[:len(origin):len(origin)], name...))
	}
	return tags
}

// everyGroup is the tag of what belongs to any group of an origin.
func (c *Cache) everyGroup(r *http.Request) tag { return newTag(c.groupOrigin('G', r)) }

func (c *Cache) groupOrigin(kind byte, r *http.Request) []byte {
	return target.AppendOrigin([]byte{kind}, c.aliased(target.Normal(r)))
}
