package memory

import (
	"maps"
	"slices"
)

// tagIndex finds the slots of a shard that have a tag. It uses the short forms of tags: two tags with the same one are deleted together,
// which costs a fetch and nothing else.
type tagIndex map[uint64]slotSet

// slotSet is a set of slots, mostly of one.
type slotSet struct {
	one  *slot
	more map[*slot]struct{}
}

func (x tagIndex) add(stored *slot) {
	for tag := range stored.tags {
		switch set, ok := x[tag]; {
		case !ok:
			x[tag] = slotSet{one: stored}
		case set.more != nil:
			set.more[stored] = struct{}{}
		case set.one != stored:
			x[tag] = slotSet{more: map[*slot]struct{}{set.one: {}, stored: {}}}
		}
	}
}

func (x tagIndex) remove(gone *slot) {
	for tag := range gone.tags {
		set, ok := x[tag]
		if !ok {
			continue
		}
		if set.more != nil {
			delete(set.more, gone)
		}
		if set.more == nil && set.one == gone || set.more != nil && len(set.more) == 0 {
			delete(x, tag)
		}
	}
}

func (x tagIndex) slots(tag uint64) []*slot {
	set, ok := x[tag]
	switch {
	case !ok:
		return nil
	case set.more == nil:
		return []*slot{set.one}
	}
	return slices.Collect(maps.Keys(set.more))
}
