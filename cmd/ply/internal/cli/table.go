package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A textTable is columns of text for a terminal. The last column is as long as it is.
type textTable struct {
	head  []string
	right []bool // columns that are aligned to the right
	style style
	rows  [][]string
	color []func(string) string // of the first cell
}

// add adds a row. What could steer a terminal becomes text.
func (t *textTable) add(color func(string) string, cells ...string) {
	for i, c := range cells {
		cells[i] = printableLine(c)
	}
	t.rows, t.color = append(t.rows, cells), append(t.color, color)
}

// write writes the table, or nothing if it has no rows.
func (t *textTable) write(w io.Writer) error {
	if len(t.rows) == 0 {
		return nil
	}
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	t.line(&b, t.head, widths, t.style.bold, t.style.bold)
	for i, row := range t.rows {
		t.line(&b, row, widths, t.color[i], nil)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line writes one row: its first cell in a colour, the others in another one, and no space at its end.
func (t *textTable) line(b *strings.Builder, row []string, widths []int, first, rest func(string) string) {
	last := len(row) - 1
	for last > 0 && row[last] == "" {
		last--
	}
	for i, cell := range row[:last+1] {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		color := rest
		if i == 0 {
			color = first
		}
		if color != nil {
			cell = color(cell)
		}
		switch {
		case i < len(t.right) && t.right[i]:
			cell = pad + cell
		case i < last:
			cell += pad
		}
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(cell)
	}
	b.WriteByte('\n')
}

// counted is a number of things: "1 error", "2 errors".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// byteSize is a number of bytes as people read it: "512 B", "1.5 KiB".
func byteSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1024; f < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// shortDuration is a duration in its largest unit, or the two largest where the first is small: "40ms", "5s", "1m30s", "3h", "12d".
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}
