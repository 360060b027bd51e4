package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachCommandHasAManualPageThatIsTheSameEachTime(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1136214245")
	dir, again := t.TempDir(), t.TempDir()
	require.NoError(t, write(dir))
	require.NoError(t, write(again))
	pages, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Greater(t, len(pages), 1)
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(dir, page.Name()))
		require.NoError(t, err)
		same, err := os.ReadFile(filepath.Join(again, page.Name()))
		require.NoError(t, err)
		assert.Equal(t, string(text), string(same), page.Name())
	}
	text, err := os.ReadFile(filepath.Join(dir, "ply-get.1"))
	require.NoError(t, err)
	for _, want := range []string{".SH EXAMPLE", `\fB--offline\fP`, ".SH EXIT STATUS"} {
		assert.Contains(t, string(text), want)
	}
	assert.False(t, strings.Contains(string(text), os.Getenv("HOME")), "the page names the home of who made it")
}
