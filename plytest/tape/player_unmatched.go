package tape

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plyhttp/ply/har"
)

// An UnmatchedError is the error for a request that a tape has no answer for, or none that is left. It has no secrets.
// Its text shows how the request differs from the nearest one of the tape, and where that is a matter of some parameters, which Options.Match leaves them out.
type UnmatchedError struct {
	Request Request  // as it is compared, without secrets
	Nearest *Request // the request of the tape that is most like it, nil if the tape is empty
	Used    bool     // Nearest is the same request, and has been answered already
	// OfOthers says that there are answers left to the request, and that they are another caller's for certain: they were recorded with other secrets.
	OfOthers bool
	Refused  error // why Match has no key for the request; nil if it has one

	whose     string // how the secrets of such an answer differ
	byDefault bool   // Options.Match is nil
	alike     int    // how many requests of the tape differ in nothing but what is volatile
}

func (e *UnmatchedError) Error() string {
	name := e.Request.Method + " " + e.Request.URL
	switch {
	case e.Refused != nil:
		return "tape: no answer to " + name + ", which cannot be compared: " + e.Refused.Error()
	case e.Nearest == nil:
		return "tape: the tape is empty: there is no answer to " + name
	case e.OfOthers:
		return "tape: the answers that are left to " + name + " are those of other callers; record again, or see which secrets they have on the tape (-), and which this caller is (+):\n" + e.whose
	case e.Used:
		return "tape: each answer to " + name + " has been given; record again, or set Reuse"
	}
	return "tape: no answer to " + name + "; record again, or see how it differs from the nearest request of the tape (-):\n" + difference(e.Nearest, &e.Request) + e.remedy()
}

// Unwrap returns Refused.
func (e *UnmatchedError) Unwrap() error { return e.Refused }

// difference shows how a request differs from another: by its fields only if by nothing else, for most of them do not count.
func difference(before, after *Request) string {
	b, a := before.lines(false), after.lines(false)
	if slices.Equal(b, a) {
		b, a = before.lines(true), after.lines(true)
	}
	if slices.Equal(b, a) {
		return "  (what differs is hidden, or Options.Match counts what is not shown here)\n"
	}
	return diff(b, a)
}

// unmatched returns the error for a request. Those of the tape that are alike but for what is volatile, if there are any, are the nearest; answered says that it would have had their answer.
func (p *Player) unmatched(r Request, alike *alike, answered bool) *UnmatchedError {
	err := &UnmatchedError{Request: r, byDefault: p.byDefault}
	if alike != nil {
		err.Nearest, err.Used, err.alike = &p.requests[alike.exchanges[0]], answered, len(alike.exchanges)
		return err
	}
	best := -1.0
	key, _ := p.key(r)
	for i := range p.requests {
		if score := r.likeness(&p.requests[i]); score > best {
			best, err.Nearest, err.Used = score, &p.requests[i], p.keys[i] == key
		}
		if p.keys[i] == key {
			err.Nearest, err.Used = &p.requests[i], true
			return err
		}
	}
	return err
}

// likeness is greater for requests that have more in common: path above all, then method, host, query and content.
func (r *Request) likeness(other *Request) (score float64) {
	a, errA := url.Parse(r.URL)
	b, errB := url.Parse(other.URL)
	if errA != nil || errB != nil {
		return 0
	}
	for _, c := range []struct {
		same   bool
		weight float64
	}{{a.Path == b.Path, 16}, {cmp.Or(r.Method, http.MethodGet) == cmp.Or(other.Method, http.MethodGet), 8}, {a.Host == b.Host, 4}, {a.RawQuery == b.RawQuery, 2}} {
		if c.same {
			score += c.weight
		}
	}
	return score + inCommon(r.Body, other.Body)
}

// inCommon is the share of two contents that their beginnings and ends have in common.
func inCommon(a, b []byte) float64 {
	longer := max(len(a), len(b))
	if longer == 0 {
		return 1
	}
	begin, end := common(a, b)
	return float64(begin+end) / float64(longer)
}

// common returns how much two lists have in common at their beginnings, and of the rest at their ends.
func common[E comparable](a, b []E) (begin, end int) {
	for begin < len(a) && begin < len(b) && a[begin] == b[begin] {
		begin++
	}
	for end < len(a)-begin && end < len(b)-begin && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return begin, end
}

// lines are what a request is compared by, one below the other.
func (r *Request) lines(fields bool) []string {
	address, query, _ := strings.Cut(r.URL, "?")
	lines := []string{cmp.Or(r.Method, http.MethodGet) + " " + address}
	for param := range strings.SplitSeq(query, "&") {
		if param != "" {
			lines = append(lines, "  "+param)
		}
	}
	if r.Host != "" {
		lines = append(lines, "Host: "+r.Host)
	}
	if fields {
		for _, f := range har.Headers(r.Header) {
			lines = append(lines, f.Name+": "+f.Value)
		}
	}
	return append(lines, contentLines(r.Body)...)
}

// contentLines shows content: text by its lines, JSON on one line by its members, and other bytes in hexadecimal.
func contentLines(body []byte) []string {
	var members bytes.Buffer
	switch {
	case len(body) == 0:
		return nil
	case !utf8.Valid(body) || bytes.ContainsFunc(body, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\r' && r != '\n' }):
		return append([]string{fmt.Sprintf("(%d bytes)", len(body))}, strings.Split(strings.TrimSuffix(hex.Dump(body), "\n"), "\n")...)
	case !bytes.Contains(body, []byte("\n")) && json.Indent(&members, body, "", "  ") == nil:
		body = members.Bytes()
	}
	return strings.Split(strings.ReplaceAll(string(body), "\r", `\r`), "\n")
}

// What an error shows of a difference.
const (
	maxCompared  = 500 // lines between the beginning and the end in common; of more, the first are compared
	maxDiffLines = 60
	linesAround  = 3   // lines before and after one that differs
	maxColumns   = 160 // of a line
)

// diff shows which lines differ, with those around them.
func diff(before, after []string) string {
	edits := compare(before, after)
	show := make([]bool, len(edits))
	for i, e := range edits {
		if e.sign != ' ' {
			for j := max(i-linesAround, 0); j <= min(i+linesAround, len(edits)-1); j++ {
				show[j] = true
			}
		}
	}
	show[0] = true // the method and the URL
	var b strings.Builder
	shown, left := 0, false
	for i, e := range edits {
		if !show[i] || shown == maxDiffLines {
			if !left {
				b.WriteString("  …\n")
			}
			left = true
			continue
		}
		fmt.Fprintf(&b, "%c %s\n", e.sign, e.line)
		shown, left = shown+1, false
	}
	return b.String()
}

// An edit is a line that both lists have (' '), or only the one before ('-') or the one after ('+').
type edit struct {
	sign rune
	line string
}

// compare returns the edits that make one list of lines of another, by their longest common subsequence.
func compare(before, after []string) (edits []edit) {
	begin, end := common(before, after)
	for _, line := range before[:begin] {
		edits = append(edits, edit{' ', clip(line, 0)})
	}
	a, b := before[begin:len(before)-end], after[begin:len(after)-end]
	cut := len(a) > maxCompared || len(b) > maxCompared
	a, b = a[:min(len(a), maxCompared)], b[:min(len(b), maxCompared)]
	edits = append(edits, replace(a, b)...)
	if cut {
		return append(edits, edit{' ', "…"})
	}
	for _, line := range before[len(before)-end:] {
		edits = append(edits, edit{' ', clip(line, 0)})
	}
	return edits
}

// replace returns the edits that make the lines b of the lines a.
func replace(a, b []string) (edits []edit) {
	lengths := inCommonFrom(a, b)
	for i, j := 0, 0; i < len(a) || j < len(b); {
		var removed, added []string
		for (i < len(a) || j < len(b)) && !equalAt(a, b, i, j) {
			if j == len(b) || i < len(a) && lengths[i+1][j] >= lengths[i][j+1] {
				removed = append(removed, a[i])
				i++
			} else {
				added = append(added, b[j])
				j++
			}
		}
		edits = append(edits, changed(removed, added)...)
		for ; equalAt(a, b, i, j); i, j = i+1, j+1 {
			edits = append(edits, edit{' ', clip(a[i], 0)})
		}
	}
	return edits
}

func equalAt(a, b []string, i, j int) bool { return i < len(a) && j < len(b) && a[i] == b[j] }

// inCommonFrom returns how long the longest common subsequence of a[i:] and b[j:] is, for all i and j.
func inCommonFrom(a, b []string) [][]int {
	lengths := make([][]int, len(a)+1)
	for i := range lengths {
		lengths[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if lengths[i][j] = max(lengths[i+1][j], lengths[i][j+1]); a[i] == b[j] {
				lengths[i][j] = lengths[i+1][j+1] + 1
			}
		}
	}
	return lengths
}

// changed returns the edits for lines in the place of others. Of long ones, it shows where they begin to differ.
func changed(removed, added []string) (edits []edit) {
	differs := make([]int, max(len(removed), len(added)))
	for i := range min(len(removed), len(added)) {
		differs[i], _ = common([]byte(removed[i]), []byte(added[i]))
	}
	for i, line := range removed {
		edits = append(edits, edit{'-', clip(line, differs[i])})
	}
	for i, line := range added {
		edits = append(edits, edit{'+', clip(line, differs[i])})
	}
	return edits
}

// clip returns the part of a long line that is around an offset.
func clip(line string, around int) string {
	if len(line) <= maxColumns {
		return line
	}
	begin := min(max(around-maxColumns/2, 0), len(line)-maxColumns)
	clipped := strings.ToValidUTF8(line[begin:begin+maxColumns], "")
	if begin > 0 {
		clipped = "…" + clipped
	}
	if begin+maxColumns < len(line) {
		clipped += "…"
	}
	return clipped
}
