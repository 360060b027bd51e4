package stored

import "strconv"

// ContentRange says which bytes of a representation a response holds (RFC 9110 §14.4).
type ContentRange struct {
	First, Last int64
	Complete    int64 // length of the whole representation, or -1 if unknown
}

func (s ContentRange) Size() int64 { return s.Last - s.First + 1 }

func (s ContentRange) String() string {
	complete := "*"
	if s.Complete >= 0 {
		complete = strconv.FormatInt(s.Complete, 10)
	}
	return "bytes " + strconv.FormatInt(s.First, 10) + "-" + strconv.FormatInt(s.Last, 10) + "/" + complete
}

// Holding is the span that so many bytes under this Content-Range really are. Some origins state one byte more than they send:
// the bytes that came count, from the first position on.
func (s ContentRange) Holding(size int64) (ContentRange, bool) {
	short := s.Size() - size
	if size <= 0 || short < 0 {
		return ContentRange{}, false
	}
	if short > 0 && s.Last == s.Complete-1 {
		s.Complete -= short
	}
	s.Last -= short
	return s, true
}

// Form is the form in which a stored response answers a request.
type Form struct {
	Status int          // 0 for the stored response as it is
	Part   ContentRange // the bytes to send, for 206; the length, for 416
}
