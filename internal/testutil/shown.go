package testutil

import (
	"os"
	"strings"
	"testing"
)

// CheckShown fails the test unless a page of the guide shows what a command has printed: the block of text that follows the line "`command` prints:".
func CheckShown(t testing.TB, page, command, printed string) {
	t.Helper()
	guide, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(guide), "\r\n", "\n")
	_, shown, found := strings.Cut(text, "`"+command+"` prints:\n\n```text\n")
	if !found {
		t.Fatalf("%s does not say what %q prints, which is\n%s", page, command, printed)
	}
	shown, _, _ = strings.Cut(shown, "```")
	if shown != printed {
		t.Errorf("%s shows\n%s\nand %q prints\n%s", page, shown, command, printed)
	}
}
