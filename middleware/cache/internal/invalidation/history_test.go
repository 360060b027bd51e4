package invalidation

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
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

// Of a response from outside no moment is known, only when it was requested.
func TestHistoryFindsInvalidationsAfterATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := History{}
		tags := allAbout([]string{"a", "b"})
		h.Add(about("a"))
		time.Sleep(time.Second)
		requested := time.Now()
		after := func() bool { return h.After(requested, tags, "http://h/a") }
		if after() {
			t.Error("an earlier invalidation counts")
		}
		time.Sleep(time.Second)
		h.Add(about("c"))
		h.AddFilter(func(url string, _ time.Time) bool { return url == "http://h/c" })
		h.AddAll()
		if after() {
			t.Error("an invalidation of others counts, or one of what was stored then")
		}
		h.Add(about("b"))
		if !after() || h.After(time.Now(), tags, "http://h/a") {
			t.Error("an invalidation by a tag is missed, or counts for what was requested as late")
		}
		h.AddFilter(func(url string, _ time.Time) bool { return url == "http://h/d" })
		if !h.After(requested, nil, "http://h/d") || h.After(requested, nil, "http://h/a") {
			t.Error("an invalidation by a filter is missed, or counts for others")
		}
		for range 2 * len(h.tags) {
			h.Add(about("c"))
		}
		if !h.After(requested, nil, "http://h/a") {
			t.Error("what is forgotten counts as none")
		}
		if h.After(time.Now(), nil, "http://h/a") {
			t.Error("what is forgotten is older")
		}
	})
}
