package cache

import "sync"

// joint is an array that the bodies of joined parts lie in. A part that continues the latest of them is written behind or before it,
// where no other body reaches, so that a representation that comes in small pieces is not copied as a whole for each of them.
type joint struct {
	array []byte
	at    int64 // position in the representation that the array begins at

	mu       sync.Mutex // guards the fields below
	from, to int64      // positions in the representation: what lies between them is written, and never written to again
}

// newJoint returns a joint that holds the bytes of a part, and room for others.
func newJoint(part span, body []byte, room span) *joint {
	j := &joint{array: make([]byte, room.size()), at: room.first, from: part.first, to: part.last + 1}
	copy(j.array[part.first-room.first:], body)
	return j
}

// jointOf returns a joint for one body as it is. It has no room for others.
func jointOf(part span, body []byte) *joint {
	return &joint{array: body, at: part.first, from: part.first, to: part.last + 1}
}

// add writes bytes of the representation behind or before those that are there. It does nothing and is false if there is no room,
// or if others have been written to that place already: parts that were joined to the same one share its joint.
func (j *joint) add(more span, bytes []byte) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	behind := more.first == j.to && more.last < j.at+int64(len(j.array))
	before := more.last+1 == j.from && more.first >= j.at
	if !behind && !before {
		return false
	}
	copy(j.array[more.first-j.at:], bytes)
	j.from, j.to = min(j.from, more.first), max(j.to, more.last+1)
	return true
}

// body returns the bytes of a part. It has no room behind it: that is for others.
func (j *joint) body(part span) []byte {
	from, to := part.first-j.at, part.last+1-j.at
	return j.array[from:to:to]
}

// joinParts puts the part e to the stored one, if they have one strong tag and leave no gap between them (RFC 9111 §3.4).
// It returns the part that they are together, and its bytes.
func joinParts(stored, e *Entry, limit int64) (span, *joint, bool) {
	if stored.part == nil || e.part == nil || !stored.body.here() || !e.body.here() || !stored.etag.StronglyEquals(e.etag) || stored.part.complete != e.part.complete {
		return span{}, nil, false
	}
	have, got := *stored.part, *e.part
	if got.first > have.last+1 || have.first > got.last+1 {
		return span{}, nil, false
	}
	whole := span{first: min(have.first, got.first), last: max(have.last, got.last), complete: have.complete}
	if whole.size() > limit {
		return span{}, nil, false
	}
	if whole == got {
		return got, jointOf(got, e.body.bytes), true
	}
	j := stored.body.joint
	if j == nil && whole == have {
		return have, jointOf(have, stored.body.bytes), true
	}
	if j == nil {
		j = newJoint(have, stored.body.bytes, whole)
	}
	for _, more := range [...]span{{first: have.last + 1, last: got.last}, {first: got.first, last: have.first - 1}} {
		if more.size() <= 0 {
			continue
		}
		bytes := e.body.bytes[more.first-got.first : more.last+1-got.first]
		if !j.add(more, bytes) {
			j = newJoint(have, j.body(have), roomFor(have, more, limit))
			j.add(more, bytes)
		}
		have.first, have.last = min(have.first, more.first), max(have.last, more.last)
	}
	return whole, j, true
}

// roomFor is the room to make for a part that grows: half as much again at each end, as far as there is more to come.
func roomFor(part, more span, limit int64) span {
	room := span{first: min(part.first, more.first), last: max(part.last, more.last)}
	spare := max(min(room.size(), limit-room.size()), 0) / 2
	room.first, room.last = max(room.first-spare, 0), room.last+spare
	if part.complete >= 0 {
		room.last = min(room.last, part.complete-1)
	}
	return room
}
