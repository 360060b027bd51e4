package cache

import (
	"net/http"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
)

// maxGroups bounds the groups of one response; RFC 9875 §2 asks for 32 at least.
const maxGroups = 128

// groupTags returns the tags of the groups that a field names (RFC 9875 §2, §3). A group is known by its name and its origin.
func (c *Cache) groupTags(r *http.Request, lines []string) []tag {
	if len(lines) == 0 {
		return nil
	}
	list, ok := field.ParseList(lines)
	if !ok {
		return nil
	}
	var tags []tag
	for _, item := range list {
		if name, ok := item.Value.(string); ok && len(tags) < maxGroups {
			tags = append(tags, c.groupTag(r, name))
		}
	}
	return tags
}

func (c *Cache) groupTag(r *http.Request, name string) tag {
	return newTag(append(target.AppendOrigin([]byte{'g'}, c.aliased(target.Normal(r))), name...))
}
