package cache

import (
	"fmt"
	"strings"
)

// InFlight returns how many exchanges can be joined, and how many bytes the copies on their way to the store are charged with.
func (c *Cache) InFlight() (flights int, bytes int64) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	return max(c.flights.count, len(c.flights.keys)), c.copies.Taken.Load()
}

// Numbered is a list of n members with a number each.
func Numbered(format string, n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(members, ", ")
}
