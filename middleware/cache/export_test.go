package cache

import (
	"fmt"
	"strings"
)

// InFlight returns how many exchanges can be joined, and how many bytes the copies on their way to the store are charged with.
func (c *Cache) InFlight() (flights int, bytes int64) {
	c.fetches.mu.Lock()
	defer c.fetches.mu.Unlock()
	return max(c.fetches.count, len(c.fetches.keys)), c.copyBudget.Taken.Load()
}

// Numbered is a list of n members with a number each.
func Numbered(format string, n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(members, ", ")
}
