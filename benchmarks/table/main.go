// Table runs the benchmarks and prints what they have measured, the contenders side by side.
//
//	go run ./benchmarks/table
//	go run ./benchmarks/table -count 10 -bench 'Hit/1_KiB'
//	go test -bench . -benchmem -count 5 ./benchmarks | go run ./benchmarks/table -stdin
//
// Each figure is the median of its runs; on a busy machine, the time of the fastest run tells more. The runs go through all benchmarks in turn,
// so that a noisy minute does not strike all runs of one contender.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

const module = "github.com/plyhttp/ply/benchmarks"

func main() {
	count := flag.Int("count", 5, "runs of each benchmark")
	pattern := flag.String("bench", ".", "which benchmarks, as for go test")
	duration := flag.String("benchtime", "200ms", "how long each run takes")
	stdin := flag.Bool("stdin", false, "format what go test has printed")
	flag.Parse()
	if err := run(*count, *pattern, *duration, *stdin); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(count int, pattern, duration string, stdin bool) error {
	t := &table{}
	if stdin {
		t.read(os.Stdin)
		return t.print(os.Stdout)
	}
	if count < 1 {
		return fmt.Errorf("-count is %d: there must be one run at least", count)
	}
	binary, err := build()
	if err != nil {
		return err
	}
	defer os.Remove(binary)
	for i := range count {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", i+1, count)
		command := exec.Command(binary, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", duration)
		command.Stderr = os.Stderr
		out, err := command.Output()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		t.read(bytes.NewReader(out))
	}
	return t.print(os.Stdout)
}

// build compiles the benchmarks once for all runs.
func build() (string, error) {
	file, err := os.CreateTemp("", "benchmarks-*.test")
	if err != nil {
		return "", err
	}
	file.Close()
	command := exec.Command("go", "test", "-c", "-o", file.Name(), module)
	if out, err := command.CombinedOutput(); err != nil {
		os.Remove(file.Name())
		return "", fmt.Errorf("build the benchmarks (run this in ply's checkout): %w\n%s", err, out)
	}
	return file.Name(), nil
}

// row is what is known of one benchmark: of each unit, one value per run.
type row struct {
	group, name string
	values      map[string][]float64
}

// table has its rows in the order in which the benchmarks run.
type table struct{ rows []*row }

// read takes in the results in what go test has printed.
func (t *table) read(from io.Reader) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		r := t.row(title(words[0]))
		for i := 2; i+1 < len(words); i += 2 {
			if value, err := strconv.ParseFloat(words[i], 64); err == nil {
				r.values[words[i+1]] = append(r.values[words[i+1]], value)
			}
		}
	}
}

// title splits the name of a benchmark into what was measured and who was.
func title(benchmark string) (group, name string) {
	words := strings.TrimPrefix(benchmark, "Benchmark")
	if i := strings.LastIndexByte(words, '-'); i > 0 {
		if _, err := strconv.Atoi(words[i+1:]); err == nil {
			words = words[:i] // how many processors
		}
	}
	words = sentence(words)
	name = words[strings.LastIndexByte(words, '/')+1:]
	return strings.ReplaceAll(strings.TrimSuffix(words, "/"+name), "/", ", "), name
}

// sentence turns the name of a function and its sub-benchmarks into words.
func sentence(benchmark string) string {
	function, rest, _ := strings.Cut(benchmark, "/")
	var b strings.Builder
	for i, letter := range function {
		if i > 0 && unicode.IsUpper(letter) {
			b.WriteByte(' ')
			letter = unicode.ToLower(letter)
		}
		b.WriteRune(letter)
	}
	return b.String() + "/" + strings.ReplaceAll(rest, "_", " ")
}

func (t *table) row(group, name string) *row {
	for _, r := range t.rows {
		if r.group == group && r.name == name {
			return r
		}
	}
	r := &row{group, name, make(map[string][]float64)}
	t.rows = append(t.rows, r)
	return r
}

// print writes the table, in Markdown that can also be read as it is.
func (t *table) print(to io.Writer) error {
	if len(t.rows) == 0 {
		return fmt.Errorf("no benchmark has run")
	}
	slices.SortStableFunc(t.rows, func(a, b *row) int { return cmp.Compare(t.first(a.group), t.first(b.group)) })
	w := tabwriter.NewWriter(to, 0, 0, 1, ' ', tabwriter.TabIndent)
	group := ""
	for _, r := range t.rows {
		if r.group != group {
			group = r.group
			fmt.Fprintf(w, "\n%s\t| time\t| fastest\t| bytes\t| allocs\t| origin\n", group)
			fmt.Fprint(w, "---\t| ---\t| ---\t| ---\t| ---\t| ---\n")
		}
		fmt.Fprintf(w, "%s\t| %s\t| %s\t| %s\t| %.0f\t| %s\n", r.name, nanoseconds(median(r.values["ns/op"])),
			nanoseconds(least(r.values["ns/op"])), bytesOf(median(r.values["B/op"])), median(r.values["allocs/op"]), number(median(r.values["origin/op"])))
	}
	return w.Flush()
}

// first is where a group begins.
func (t *table) first(group string) int {
	return slices.IndexFunc(t.rows, func(r *row) bool { return r.group == group })
}

// median returns the middle one, or of two the lower.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

func least(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Min(values)
}

func nanoseconds(ns float64) string {
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.3g µs", ns/1e3)
	}
	return fmt.Sprintf("%.3g ms", ns/1e6)
}

func bytesOf(n float64) string {
	switch {
	case n < 10e3:
		return fmt.Sprintf("%.0f", n)
	case n < 1e6:
		return fmt.Sprintf("%.0f k", n/1e3)
	}
	return fmt.Sprintf("%.2f M", n/1e6)
}

// number leaves decimals out where there are none.
func number(n float64) string { return strconv.FormatFloat(math.Round(100*n)/100, 'f', -1, 64) }
