package cachestatus

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
)

// String writes the status as a member of Cache-Status.
func (s Status) String() string {
	var room [128]byte
	return string(s.append(room[:0]))
}

// AppendHit appends what a Status says of a fresh hit that has so many seconds left.
func AppendHit(b []byte, ttl int64) []byte {
	return strconv.AppendInt(append(b, Name+"; hit; ttl="...), ttl, 10)
}

func (s *Status) append(b []byte) []byte {
	b = append(b, Name...)
	if s.Hit {
		b = append(b, "; hit"...)
	}
	if s.Fwd != "" {
		b = append(append(b, "; fwd="...), s.Fwd...)
	}
	if s.FwdStatus != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(s.FwdStatus), 10)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	if s.HasTTL {
		b = strconv.AppendInt(append(b, "; ttl="...), int64(s.TTL/time.Second), 10)
	}
	if s.Detail != "" {
		b = appendQuoted(append(b, "; detail="...), s.Detail)
	}
	return b
}

// appendQuoted writes a structured-field string (RFC 9651 §3.3.3). What it cannot hold becomes a question mark.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c > 0x7e:
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// WithoutForgery returns h without members of Cache-Status that claim to be this cache's.
func WithoutForgery(h http.Header) http.Header {
	lines := h[Field]
	if len(lines) == 0 {
		return h
	}
	h = h.Clone()
	if h[Field] = Foreign(lines); h[Field] == nil {
		delete(h, Field)
	}
	return h
}

// Foreign returns the Cache-Status of a response as it came in, without members that claim to be this cache's (RFC 9211 §2).
func Foreign(lines []string) []string {
	var kept []string
	for member := range field.Members(lines) {
		if name, _ := Cut(member); !field.EqualFold(strings.Trim(name, `"`), Name) {
			kept = append(kept, member)
		}
	}
	return kept
}

// WithMember returns a copy of h whose Cache-Status has the members in inbound, and then member. Nothing of h is shared with it.
// A copy, because h may not be for this response alone: recorders and fake transports answer several requests with one header.
// It makes room for all fields and for all values at once.
func WithMember(h http.Header, inbound []string, member string) http.Header {
	fields, n := len(h), len(inbound)+1
	if _, ok := h[Field]; !ok {
		fields++
	}
	for _, lines := range h {
		n += len(lines)
	}
	room := make([]string, 0, n)
	own := make(http.Header, fields)
	for name, lines := range h {
		if name == Field {
			continue
		}
		if lines == nil {
			own[name] = nil
			continue
		}
		at := len(room)
		room = append(room, lines...)
		own[name] = room[at:len(room):len(room)]
	}
	at := len(room)
	room = append(append(room, inbound...), member)
	own[Field] = room[at:len(room):len(room)]
	return own
}
