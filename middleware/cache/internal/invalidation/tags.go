package invalidation

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// A Tag identifies stored responses that are invalidated together: the hash of a URI, a group or a principal. As a hash, it shows nothing of a query in a store.
type Tag [16]byte

// TagOverhead is charged for each tag of an entry: the tag itself, what the entry remembers of it, and its place in an index.
const TagOverhead = 72

// TagList is a list of distinct tags. Variants with many groups can have thousands.
type TagList struct {
	Tags []Tag
	at   map[Tag]int // where each tag is, once there are many
}

// manyTags is how many tags a TagList has when it begins to use a map.
const manyTags = 32

// Add appends t unless it is there.
func (l *TagList) Add(t Tag) {
	if l.Find(t) >= 0 {
		return
	}
	l.Tags = append(l.Tags, t)
	switch n := len(l.Tags); {
	case l.at != nil:
		l.at[t] = n - 1
	case n > manyTags:
		l.at = make(map[Tag]int, 4*manyTags)
		for i, t := range l.Tags {
			l.at[t] = i
		}
	}
}

// Find returns the index of t, or -1.
func (l *TagList) Find(t Tag) int {
	if l.at == nil {
		return slices.Index(l.Tags, t)
	}
	if i, ok := l.at[t]; ok {
		return i
	}
	return -1
}

// NewTag returns the tag of a subject: its hash.
func NewTag(about []byte) Tag {
	sum := sha256.Sum256(about)
	return Tag(sum[:16])
}

// Short is the tag as a key for maps. Two tags with the same short form are invalidated together, which costs a fetch and nothing else.
func (t Tag) Short() uint64 { return binary.LittleEndian.Uint64(t[:]) }

// HashedPrincipalTag is the tag of everything that is stored for a principal whose name has this hash.
func HashedPrincipalTag(hashed string) Tag { return NewTag(append([]byte{'p'}, hashed...)) }
