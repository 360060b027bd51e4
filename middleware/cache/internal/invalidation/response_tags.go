package invalidation

import (
	"bytes"
	"strconv"
)

const (
	// MaxResponseTags bounds the tags that a program gives to one response.
	MaxResponseTags = 128

	// MaxTagName bounds the name of one, in bytes.
	MaxTagName = 1024
)

// NamedTag is the tag that a program gives to responses by a name. Case makes no difference, for services differ in that:
// a removal that reaches too much costs a fetch, one that reaches too little leaves something outdated.
func NamedTag(name string) Tag {
	return NewTag(bytes.ToLower(append([]byte{'t'}, name...)))
}

// NamedTags are the tags with these names, each once; empty names count for nothing. If the names are more or longer than can be kept, it says so:
// the removal of one of the others would not reach their response.
func NamedTags(names []string) (tags []Tag, why string) {
	var list TagList
	for _, name := range names {
		if len(name) > MaxTagName {
			return nil, "a tag exceeds " + strconv.Itoa(MaxTagName) + " bytes"
		}
		if name == "" {
			continue
		}
		if list.Add(NamedTag(name)); len(list.Tags) > MaxResponseTags {
			return nil, "more than " + strconv.Itoa(MaxResponseTags) + " tags"
		}
	}
	return list.Tags, ""
}
