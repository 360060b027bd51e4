//go:build unix

package ply_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func TestDownloadLeavesWhatIsNoFileAlone(t *testing.T) {
	s := &breakingServer{content: randomContent(100), tag: `"a"`}
	server := httptest.NewServer(s)
	defer server.Close()
	client, err := ply.New(ply.Options{})
	require.NoError(t, err)
	defer client.Close()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.Symlink("nowhere", path+".download"))
	_, err = client.Download(t.Context(), path, server.URL)
	require.NoError(t, err)
	leads, err := os.Readlink(path + ".download")
	require.NoError(t, err)
	assert.Equal(t, "nowhere", leads)
}
