package ply_test

import (
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Imports point one way (docs/design.md): what layers, stores and rules are made of works without the client, on a bare http.Client.
func TestLayersDoNotImportTheRootPackage(t *testing.T) {
	const root = "github.com/plyhttp/ply"
	mayImportTheClient := []string{"inspect", "cmd", "examples", "telemetry", "benchmarks"} // by the first element of the path
	checked := 0
	for dir, names := range packageFiles(t) {
		first, _, _ := strings.Cut(dir, "/")
		if dir == "." || dir == "internal/docs" || slices.Contains(mayImportTheClient, first) {
			continue
		}
		for _, name := range names {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ImportsOnly)
			require.NoError(t, err)
			checked++
			for _, spec := range f.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				if imported == root {
					t.Errorf("%s imports the root package", path.Join(dir, name))
				}
				// The cache is shown by the inspector and the command; it knows neither of them, nor what tests are made of.
				for _, above := range []string{"/inspect", "/cmd", "/plytest/tape", "/examples"} {
					if strings.HasPrefix(imported+"/", root+above+"/") && !strings.HasPrefix("/"+dir+"/", above+"/") && first != "internal" {
						t.Errorf("%s imports %s, which is above it", path.Join(dir, name), imported)
					}
				}
			}
		}
	}
	require.Greater(t, checked, 300)
}
