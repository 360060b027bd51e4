package ply

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/plyhttp/ply/redact"
)

const (
	labelWidth = 32
	barWidth   = 24
	maxRows    = 40 // a longer text leaves out the phases of exchanges
)

// String returns the record as a waterfall: what happened, when it began, how long it took. It has at most 80 columns, except for long URLs and errors.
// Secrets are hidden.
func (i CallInfo) String() string {
	w := waterfall{total: i.Total, redactor: i.Redactor, callError: i.Redactor.ErrorText(i.Err)}
	w.line("%s %s", i.Method, i.URL)
	w.line("%s", i.result())
	if len(i.Hops) == 0 {
		return w.text()
	}
	w.line("%*s%*s%*s", labelWidth, "", 11, "at", 11, "took")
	rows := 0
	for _, h := range i.Hops {
		rows += 6*len(h.Exchanges) + 3
	}
	w.brief = rows > maxRows
	for n, h := range i.Hops {
		if len(i.Hops) > 1 {
			w.line("hop %d: %s %s", n+1, h.Method, h.URL)
		}
		w.hop(h)
	}
	if i.Omitted > 0 {
		w.line("and %d hops more", i.Omitted)
	}
	return w.text()
}

// LogValue lets log/slog write the record as String does.
func (i CallInfo) LogValue() slog.Value { return slog.StringValue(i.String()) }

// result returns the first line: how the call ended.
func (i CallInfo) result() string {
	took := " in " + milliseconds(i.Total)
	var last CallHop
	if n := len(i.Hops); n > 0 {
		last = i.Hops[n-1]
	}
	answer := status(i.Status) + ", "
	switch {
	case i.Err != nil && i.Status == 0:
		return "failed" + took + ": " + i.Redactor.ErrorText(i.Err)
	case i.Err != nil:
		return answer + "failed after " + formatBytes(last.Received) + took + ": " + i.Redactor.ErrorText(i.Err)
	case i.Status == 0:
		return "under way for " + milliseconds(i.Total)
	case i.Open:
		return answer + formatBytes(last.Received) + " so far" + took
	case last.ClosedEarly:
		return answer + "closed after " + formatBytes(last.Received) + took
	}
	return answer + formatBytes(last.Received) + took
}

func status(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

func formatBytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// waterfall builds a text of rows with bars.
type waterfall struct {
	strings.Builder
	total     time.Duration
	brief     bool       // without phases
	callError string     // the error of the call
	notes     []CallNote // of the hop, not shown yet

	redactor *redact.Redactor
}

func (w *waterfall) text() string { return strings.TrimSuffix(w.Builder.String(), "\n") }

// line writes one line. Control characters in its parts become spaces.
func (w *waterfall) line(format string, args ...any) {
	s := strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) { // including those that change the direction of the text
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	w.WriteString(strings.TrimRight(s, " ") + "\n")
}

func (w *waterfall) row(label string, s CallSpan, fill string) {
	w.line("%-*s%11s%11s  %s", labelWidth, clip(label, labelWidth), milliseconds(s.Start), milliseconds(s.Duration), w.bar(s, fill))
}

// phase writes a row for a phase, unless it did not happen.
func (w *waterfall) phase(label string, s CallSpan) {
	if s != (CallSpan{}) && !w.brief {
		w.row("    "+label, s, "▒")
	}
}

func (w *waterfall) bar(s CallSpan, fill string) string {
	column := func(d time.Duration) int {
		share := float64(d) / float64(max(w.total, 1))
		return int(math.Round(min(max(share, 0), 1) * barWidth))
	}
	from := min(column(s.Start), barWidth-1)
	return strings.Repeat(" ", from) + strings.Repeat(fill, max(column(s.End())-from, 1))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2fms", float64(d)/float64(time.Millisecond))
}

func (w *waterfall) hop(h CallHop) {
	w.layer("auth", h.Auth, h.AuthReason)
	if h.Decoded != "" {
		w.line("  decode: %s, %s encoded", clip(h.Decoded, labelWidth), formatBytes(h.Encoded))
	}
	w.layer("cache", h.Cache, h.CacheReason)
	if h.Stop != "" {
		label := "retry: " + attempts(h.Exchanges)
		if hedged(h.Exchanges) {
			label += fmt.Sprintf(", %d requests", h.Requests)
		}
		if h.Stop != "done" {
			label += ", stopped: " + h.Stop
		}
		w.line("  %s", label)
	}
	sofar := h.Header.Start
	w.notes = h.Notes
	for _, x := range h.Exchanges {
		sofar = w.before(x, h, sofar)
		w.exchange(x, h)
		sofar = max(sofar, x.Span.End())
	}
	if h.Omitted > 0 {
		w.line("  and %d exchanges more", h.Omitted)
	}
	sofar = max(sofar, w.layerTime(h.Header.End()))
	if len(h.Exchanges) > 0 && h.Status != 0 || h.Err != nil {
		w.layers(sofar, h.Header.End())
	}
	if len(h.Exchanges) == 0 {
		w.row("  "+cmp.Or(outcome(h.Status, nil), "no answer"), h.Header, "█")
	}
	if h.Body != (CallSpan{}) {
		label := "  body, " + formatBytes(h.Received)
		if h.Open {
			label += " so far"
		}
		w.row(label, h.Body, "█")
	}
	w.failed("  error: ", h.Err)
}

// layer writes what a layer did, in a word, and why.
func (w *waterfall) layer(name, status, reason string) {
	if status == "" {
		return
	}
	label := name + ": " + status
	if reason != "" {
		label += " (" + reason + ")"
	}
	w.line("  %s", label)
}

// layerTime writes the notes of layers up to that time, and returns when the last of them ended.
func (w *waterfall) layerTime(until time.Duration) (end time.Duration) {
	for len(w.notes) > 0 && w.notes[0].Span.Start <= until {
		n := w.notes[0]
		w.notes = w.notes[1:]
		w.row("  "+n.String(), n.Span, "░")
		end = max(end, n.Span.End())
	}
	return end
}

func hedged(all []CallExchange) bool {
	return slices.ContainsFunc(all, func(x CallExchange) bool { return x.Hedge > 0 })
}

func attempts(all []CallExchange) string {
	last := 0
	for _, x := range all {
		last = max(last, x.Attempt)
	}
	if last == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", last)
}

// before writes what happened between sofar and the start of x: the wait for its attempt, and time in layers. It returns the time up to which the text is complete.
func (w *waterfall) before(x CallExchange, h CallHop, sofar time.Duration) time.Duration {
	if x.Wait > 0 {
		wait := CallSpan{Start: x.Span.Start - x.Wait, Duration: x.Wait}
		if x.Span.Start <= h.Header.End() { // not an exchange for the rest of a broken body
			wait.Start = min(wait.Start, sofar)
		}
		w.layerTime(wait.Start)
		w.row("  wait", wait, "░")
		sofar = max(sofar, wait.End())
	}
	sofar = max(sofar, w.layerTime(x.Span.Start))
	w.layers(sofar, min(x.Span.Start, h.Header.End()))
	return sofar
}

// layers writes a row for time before the response's header that neither an exchange nor a wait of retry accounts for: layers spent it, a limiter for instance.
func (w *waterfall) layers(from, to time.Duration) {
	const least = time.Millisecond
	if to-from >= least {
		w.row("  in layers", CallSpan{Start: from, Duration: to - from}, "░")
	}
}

func (w *waterfall) exchange(x CallExchange, h CallHop) {
	label := "  exchange: "
	if x.Attempt > 0 {
		label = fmt.Sprintf("  attempt %d: ", x.Attempt)
	}
	if x.Hedge > 0 {
		label = fmt.Sprintf("  attempt %d, copy %d: ", max(1, x.Attempt), x.Hedge)
	}
	w.row(label+cmp.Or(outcome(x.Status, x.Err), "no answer yet")+" "+x.Proto, x.Span, "█")
	if x.URL != h.URL {
		w.line("    %s %s", x.Method, x.URL)
	}
	if x.Reused {
		w.phase("reused connection", x.Queue)
	} else if x.Connect == (CallSpan{}) && x.TLS == (CallSpan{}) {
		w.phase("connection", x.Queue)
	}
	w.phase("resolve", x.DNS)
	w.phase("connect "+x.Remote, x.Connect)
	w.phase("TLS handshake", x.TLS)
	w.phase("send", x.Send)
	w.phase("wait for first byte", x.Answer)
	w.failed("    error: ", x.Err)
}

// failed writes an error, unless the error of the call says the same.
func (w *waterfall) failed(label string, err error) {
	if text := w.redactor.ErrorText(err); text != "" && !strings.Contains(w.callError, text) {
		w.line("%s%s", label, text)
	}
}

func outcome(status int, err error) string {
	switch {
	case err != nil && status == 0:
		return "failed"
	case err != nil:
		return fmt.Sprintf("%d, broken", status)
	case status != 0:
		return fmt.Sprint(status)
	}
	return ""
}

// clip shortens s to width, with an ellipsis at its end.
func clip(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}
