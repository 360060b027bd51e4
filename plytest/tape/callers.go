package tape

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// A callers numbers the credentials of requests, in the order in which they appear on a tape: REDACTED-1, REDACTED-2. So a tape without secrets still says
// which requests had the same credentials, and which had others. The zero value knows none. It is not safe for concurrent use.
type callers struct {
	numbers map[string]int
}

// number is for the line of a hidden field of a request. What stands for a secret already stays as it is.
func (c *callers) number(line string) string {
	value := credential(line)
	if isPlaceholder(value) {
		return value
	}
	n, ok := c.numbers[value]
	if !ok {
		if c.numbers == nil {
			c.numbers = map[string]int{}
		}
		n = len(c.numbers) + 1
		c.numbers[value] = n
	}
	return redact.Placeholder + "-" + strconv.Itoa(n)
}

// placeholder is what stands for a secret of content: the number of the request's credentials that it becomes, such as an access token, or no number.
func (c *callers) placeholder(value string) string {
	if c == nil {
		return redact.Placeholder
	}
	if n, ok := c.numbers[value]; ok {
		return redact.Placeholder + "-" + strconv.Itoa(n)
	}
	if isPlaceholder(value) {
		return value
	}
	return redact.Placeholder
}

// credential returns what of a field's line is secret: "Bearer abc" is abc, which a login's answer may have by itself.
func credential(line string) string {
	line = strings.TrimSpace(line)
	if scheme, rest, ok := strings.Cut(line, " "); ok && isToken(scheme) {
		return strings.TrimSpace(rest)
	}
	return line
}

// isToken reports whether a text may be the name of a scheme (RFC 9110 §11.1), and is not the beginning of parameters or cookies.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	})
}

// isPlaceholder reports whether a text is REDACTED, or REDACTED with a number.
func isPlaceholder(s string) bool {
	rest, ok := strings.CutPrefix(s, redact.Placeholder)
	if !ok || rest == "" {
		return ok
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
	return err == nil && n > 0 && rest == "-"+strconv.Itoa(n)
}

// callerOf says with whose credentials a request was sent: "" for none, and otherwise the placeholders of a tape, or a hash that stays in memory.
func (d redaction) callerOf(h http.Header) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if d.hidesField(name) {
			for _, line := range h[name] {
				lines = append(lines, name+": "+credential(line))
			}
		}
	}
	if len(lines) == 0 {
		return ""
	}
	caller := strings.Join(lines, "\n")
	if slices.ContainsFunc(lines, func(line string) bool { _, value, _ := strings.Cut(line, ": "); return !isPlaceholder(value) }) {
		sum := sha256.Sum256([]byte(caller))
		return string(sum[:])
	}
	return caller
}

// An assignment says which callers of a replay are which of the tape. Credentials of a replay differ from those of the recording,
// so a caller becomes the one of the first exchange that it gets. The zero value has none. It is not safe for concurrent use.
type assignment struct {
	onTape map[string]string // by the caller of the replay
	taken  map[string]bool   // callers of the tape
}

// rank says how well an exchange of a caller on the tape suits a caller of the replay: 2 for the caller's own, 1 for that of a caller who has not come yet, 0 for that of another.
func (a *assignment) rank(caller, onTape string) int {
	mine, known := a.onTape[caller]
	switch {
	case caller == onTape || known && mine == onTape:
		return 2
	case !known && !a.taken[onTape]:
		return 1
	}
	return 0
}

// assign has a caller be the one of an exchange that it got.
func (a *assignment) assign(caller, onTape string) {
	if _, known := a.onTape[caller]; known || a.taken[onTape] || caller == "" || onTape == "" {
		return
	}
	if a.onTape == nil {
		a.onTape, a.taken = map[string]string{}, map[string]bool{}
	}
	a.onTape[caller], a.taken[onTape] = onTape, true
}
