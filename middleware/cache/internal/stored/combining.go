package stored

import "sync"

// rangeBuffer is an array that the bodies of combined parts lie in. A part that continues the latest of them is written behind or before it,
// where no other body reaches, so that a representation that comes in small pieces is not copied as a whole for each of them.
type rangeBuffer struct {
	array []byte
	at    int64 // position in the representation that the array begins at

	mu       sync.Mutex // guards the fields below
	from, to int64      // positions in the representation: what lies between them is written, and never written to again
}

// newRangeBuffer returns a buffer that holds the bytes of a part, and room for others.
func newRangeBuffer(part ContentRange, body []byte, room ContentRange) *rangeBuffer {
	j := &rangeBuffer{array: make([]byte, room.Size()), at: room.First, from: part.First, to: part.Last + 1}
	copy(j.array[part.First-room.First:], body)
	return j
}

// rangeBufferOf returns a buffer for one body as it is. It has no room for others.
func rangeBufferOf(part ContentRange, body []byte) *rangeBuffer {
	return &rangeBuffer{array: body, at: part.First, from: part.First, to: part.Last + 1}
}

// add writes bytes of the representation behind or before those that are there. It does nothing and is false if there is no room,
// or if others have been written to that place already: parts that were combined with the same one share its buffer.
func (j *rangeBuffer) add(more ContentRange, bytes []byte) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	behind := more.First == j.to && more.Last < j.at+int64(len(j.array))
	before := more.Last+1 == j.from && more.First >= j.at
	if !behind && !before {
		return false
	}
	copy(j.array[more.First-j.at:], bytes)
	j.from, j.to = min(j.from, more.First), max(j.to, more.Last+1)
	return true
}

// body returns the bytes of a part. It has no room behind it: that is for others.
func (j *rangeBuffer) body(part ContentRange) []byte {
	from, to := part.First-j.at, part.Last+1-j.at
	return j.array[from:to:to]
}

// combineRanges combines the part e with the stored one, if they have one strong tag and leave no gap between them (RFC 9111 §3.4).
// It returns the part that they are together, and its bytes.
// Over 15 branches on purpose: the conditions stand together, each says why two parts are not one.
func combineRanges(stored, e *Entry, limit int64) (ContentRange, *rangeBuffer, bool) {
	if stored.Part == nil || e.Part == nil || !stored.Body.InMemory() || !e.Body.InMemory() || !stored.Etag().StronglyEquals(e.Etag()) || stored.Part.Complete != e.Part.Complete {
		return ContentRange{}, nil, false
	}
	have, got := *stored.Part, *e.Part
	if got.First > have.Last+1 || have.First > got.Last+1 {
		return ContentRange{}, nil, false
	}
	whole := ContentRange{First: min(have.First, got.First), Last: max(have.Last, got.Last), Complete: have.Complete}
	if whole.Size() > limit {
		return ContentRange{}, nil, false
	}
	if whole == got {
		return got, rangeBufferOf(got, e.Body.Bytes), true
	}
	j := stored.Body.buffer
	if j == nil && whole == have {
		return have, rangeBufferOf(have, stored.Body.Bytes), true
	}
	if j == nil {
		j = newRangeBuffer(have, stored.Body.Bytes, whole)
	}
	for _, more := range [...]ContentRange{{First: have.Last + 1, Last: got.Last}, {First: got.First, Last: have.First - 1}} {
		if more.Size() <= 0 {
			continue
		}
		bytes := e.Body.Bytes[more.First-got.First : more.Last+1-got.First]
		if !j.add(more, bytes) {
			j = newRangeBuffer(have, j.body(have), roomFor(have, more, limit))
			j.add(more, bytes)
		}
		have.First, have.Last = min(have.First, more.First), max(have.Last, more.Last)
	}
	return whole, j, true
}

// roomFor is the room to make for a part that grows: half as much again at each end, as far as there is more to come.
func roomFor(part, more ContentRange, limit int64) ContentRange {
	room := ContentRange{First: min(part.First, more.First), Last: max(part.Last, more.Last)}
	spare := max(min(room.Size(), limit-room.Size()), 0) / 2
	room.First, room.Last = max(room.First-spare, 0), room.Last+spare
	if part.Complete >= 0 {
		room.Last = min(room.Last, part.Complete-1)
	}
	return room
}
