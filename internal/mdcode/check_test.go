package mdcode

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func page(t *testing.T, name string) []Block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return Blocks(name, string(text))
}

func checker(t *testing.T) *Checker {
	t.Helper()
	c, err := New(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBrokenBlocksAreReportedAtTheirLines(t *testing.T) {
	var got []string
	for _, err := range checker(t).Check(t.Context(), page(t, "broken.md"), func(Block) bool { return true }) {
		first, _, _ := strings.Cut(err.Error(), "\n")
		got = append(got, first)
	}
	want := []string{
		`broken.md:19: syntax: expected ')', found '{'`,
		`broken.md:47: syntax: illegal character U+2026 '…'`,
		"broken.md:52: not formatted: gofmt writes \"resp, err := client.Get(ctx, url)\"",
		`broken.md:34: the comment above, "int", has a name without a type`,
		`broken.md:4: client.Gett undefined (type *ply.Client has no field or method Gett)`,
		`broken.md:9: cannot use "text" (untyped string constant) as int value in assignment`,
		`broken.md:15: undefined: ply.Nothing`,
		`broken.md:24: undefined: unknown`,
		`broken.md:29: the comment above the block: undefined: missing`,
		`broken.md:42: declared and not used: x`,
		`broken.md:40: "fmt" imported and not used`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBlocksHaveTheNamesThatTheyDoNotDeclare(t *testing.T) {
	ours := func(b Block) bool { return !b.Ecosystem }
	for _, err := range checker(t).Check(t.Context(), page(t, "sound.md"), ours) {
		t.Error(err)
	}
}

func TestProgramsPrintWhatThePageShows(t *testing.T) {
	c := checker(t)
	ran := 0
	for _, b := range page(t, "sound.md") {
		if !Runs(b) {
			continue
		}
		ran++
		if err := c.Run(t.Context(), b); err != nil {
			t.Error(err)
		}
		if !b.HasOutput {
			continue
		}
		b.Output = "goodbye\n"
		err := c.Run(t.Context(), b)
		if want := "sound.md:56: the program prints\nhello\n\nwhere the page shows\ngoodbye\n"; err == nil || err.Error() != want {
			t.Errorf("with another output: %v, want %s", err, want)
		}
	}
	if ran != 2 {
		t.Errorf("%d blocks ran, want 2", ran)
	}
}
