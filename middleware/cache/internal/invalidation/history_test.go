package invalidation

import (
	"fmt"
	"testing"
)

// about is a tag that is about a name.
func about(name string) Tag { return NewTag([]byte(name)) }

func allAbout(names []string) []Tag {
	var tags []Tag
	for _, name := range names {
		tags = append(tags, about(name))
	}
	return tags
}

// An exchange learns of every invalidation since it began, and of one too many where the memory does not reach.
func TestHistoryFindsInvalidationsSinceAPointInTime(t *testing.T) {
	h := History{}
	h.Add(about("before"))
	began := h.Now()
	tags := allAbout([]string{"a", "b"})
	if h.Since(began, append(tags, about("before"))) {
		t.Error("an earlier invalidation counts")
	}
	h.Add(about("c"))
	if h.Since(began, tags) {
		t.Error("another URI's invalidation counts")
	}
	h.Add(about("b"))
	if !h.Since(began, tags) {
		t.Error("an invalidation is missed")
	}
	later := h.Now()
	for i := range len(h.tags) {
		h.Add(about(fmt.Sprint(i)))
	}
	if h.Since(later, allAbout([]string{"x"})) {
		t.Error("what is remembered is not looked at")
	}
	h.Add(about("y"))
	if !h.Since(later, allAbout([]string{"x"})) {
		t.Error("what is forgotten must count as invalidated")
	}
	now := h.Now()
	h.AddAll()
	if !h.Since(now, nil) {
		t.Error("Clear must count for everything under way")
	}
}

// What an answer makes invalid itself does not keep it from being stored. What others make invalid meanwhile does, if it is about the same tag.
func TestHistoryIgnoresTheResponsesOwnInvalidations(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after []string // notes of others before and after the answer's own
		want          bool
	}{
		"no other":                            {nil, nil, false},
		"others, before":                      {[]string{"x", "y"}, nil, false},
		"others, after":                       {nil, []string{"x"}, false},
		"others, around":                      {[]string{"x"}, []string{"y"}, false},
		"the same tag, before":                {[]string{"x", "a"}, nil, true},
		"the same tag, after":                 {nil, []string{"x", "a"}, true},
		"a tag of the entry that is not ours": {[]string{"group"}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := History{}
			h.Add(allAbout([]string{"a", "b", "group"})...)
			began := h.Now()
			h.Add(allAbout(tt.before)...)
			began = h.AddAt(began, allAbout([]string{"a", "b"})...)
			h.Add(allAbout(tt.after)...)
			if got := h.Since(began, allAbout([]string{"a", "group"})); got != tt.want {
				t.Errorf("invalidated since: %v, want %v", got, tt.want)
			}
		})
	}
}
