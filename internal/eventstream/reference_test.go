package eventstream_test

import (
	"math/big"
	"strings"
	"time"
)

// reference does with a whole stream what the standard says, sentence by sentence.
func reference(stream string) outcome {
	var o outcome
	text := []rune(decoded([]byte(stream)))
	if len(text) > 0 && text[0] == '\uFEFF' { // "UTF-8 decode" takes one byte order mark off
		text = text[1:]
	}
	data, eventType, id := "", "", ""
	for {
		line, rest, ended := cutLine(text)
		if !ended {
			// "Once the end of the file is reached, any pending data must be discarded."
			return o
		}
		text = rest
		if line == "" {
			// "Set the last event ID string of the event source to the value of the last event ID buffer."
			o.LastID = id
			// "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string and return."
			if data == "" {
				eventType = ""
				continue
			}
			// "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove the last character."
			e := event{ID: o.LastID, Type: "message", Data: strings.TrimSuffix(data, "\n"), Retry: o.Retry}
			if eventType != "" {
				e.Type = eventType
			}
			o.Events = append(o.Events, e)
			data, eventType = "", ""
			continue
		}
		if line[0] == ':' {
			continue
		}
		field, value := line, ""
		if i := strings.Index(line, ":"); i >= 0 {
			field, value = line[:i], strings.TrimPrefix(line[i+1:], " ")
		}
		switch field {
		case "event":
			eventType = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "retry":
			if value != "" && strings.Trim(value, "0123456789") == "" {
				n, _ := new(big.Int).SetString(value, 10)
				if most := big.NewInt(9223372036854); n.Cmp(most) > 0 {
					n = most
				}
				o.Retry = time.Duration(n.Int64()) * time.Millisecond
			}
		}
	}
}

// cutLine: "end-of-line = ( cr lf / cr / lf )".
func cutLine(text []rune) (line string, rest []rune, ended bool) {
	for i, c := range text {
		switch {
		case c == '\r' && i+1 < len(text) && text[i+1] == '\n':
			return string(text[:i]), text[i+2:], true
		case c == '\r', c == '\n':
			return string(text[:i]), text[i+1:], true
		}
	}
	return "", nil, false
}

// decoded is the decoder of UTF-8 in the Encoding standard (§8.1.1), with the variables that it names.
func decoded(bytes []byte) string {
	var out strings.Builder
	var point rune
	needed, seen := 0, 0
	lower, upper := byte(0x80), byte(0xBF)
	for i := 0; i < len(bytes); i++ {
		b := bytes[i]
		if needed == 0 {
			switch {
			case b <= 0x7F:
				out.WriteByte(b)
			case b >= 0xC2 && b <= 0xDF:
				needed, point = 1, rune(b&0x1F)
			case b >= 0xE0 && b <= 0xEF:
				if b == 0xE0 {
					lower = 0xA0
				}
				if b == 0xED {
					upper = 0x9F
				}
				needed, point = 2, rune(b&0xF)
			case b >= 0xF0 && b <= 0xF4:
				if b == 0xF0 {
					lower = 0x90
				}
				if b == 0xF4 {
					upper = 0x8F
				}
				needed, point = 3, rune(b&0x7)
			default:
				out.WriteRune('\uFFFD')
			}
			continue
		}
		if b < lower || b > upper {
			needed, seen, lower, upper = 0, 0, 0x80, 0xBF
			i-- // "Restore byte to ioQueue"
			out.WriteRune('\uFFFD')
			continue
		}
		lower, upper = 0x80, 0xBF
		point = point<<6 | rune(b&0x3F)
		if seen++; seen == needed {
			out.WriteRune(point)
			needed, seen = 0, 0
		}
	}
	if needed != 0 {
		out.WriteRune('\uFFFD')
	}
	return out.String()
}
