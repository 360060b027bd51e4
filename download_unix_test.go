//go:build unix

package ply_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDownloadLeavesWhatIsNoFileAlone(t *testing.T) {
	s := &breakingServer{content: randomContent(100), tag: `"a"`}
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.Symlink("nowhere", path+".download"))
	_, err := downloadFrom(t, s, path)()
	require.NoError(t, err)
	leads, err := os.Readlink(path + ".download")
	require.NoError(t, err)
	assert.Equal(t, "nowhere", leads)
}
