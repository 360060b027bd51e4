package tape_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

// TestDamagedTapeIsReadOrRefusedWithItsPlace changes, drops and cuts a tape at each of its bytes.
func TestDamagedTapeIsReadOrRefusedWithItsPlace(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden.tape")
	require.NoError(t, err)
	decode := func(text []byte) error {
		tp, err := tape.Decode(bytes.NewReader(text))
		if err == nil {
			_, _ = tp.Player(tape.PlayerOptions{}) // must not panic
		} else if !errors.Is(err, tape.ErrNoTape) || !strings.Contains(err.Error(), "(line ") && !strings.Contains(err.Error(), "version") {
			t.Fatalf("%v\n%s", err, text)
		}
		return err
	}
	for i := range golden {
		for _, b := range []string{"", "\xff", "\x00", "x", "\"", "9", "-", "[", "}", "\n"} {
			decode(bytes.Join([][]byte{golden[:i], golden[i+1:]}, []byte(b)))
		}
		if i < len(golden)-1 {
			require.Error(t, decode(golden[:i]), "cut at %d", i)
		}
	}
}

func TestErrorOfADamagedTapeNamesThePlace(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden.tape")
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, damaged, want string }{
		"a name of a member":           {`"chunks"`, `"chunkz"`, `exchange 0: json: unknown field "chunkz" (line 5)`},
		"a name in an object of bytes": {`"base64"`, `"base46"`, `exchange 0: json: unknown field "base46" (line 5)`},
		"bytes":                        {`"/wA="`, `"/wA!"`, `exchange 0: illegal base64 data at input byte 3 (line 5)`},
		"a duration":                   {`"1m0s"`, `"1n0s"`, `(line 46)`},
		"a type":                       {`"status": 200`, `"status": "200"`, `(line 23)`},
		"bytes that are no text":       {`"<p>`, "\"\xff", `it is not in UTF-8 (line 31)`},
		"what follows":                 {"]\n}\n", "]\n}\n{}\n", `(line 60)`},
		"a conflict of git":            {`"exchanges"`, "<<<<<<< HEAD\n\"exchanges\"", `(line 4)`},
		"no time":                      {`"start": "2026`, `"start": "202"`, `(line 3)`},
	} {
		damaged := strings.Replace(string(golden), c.old, c.damaged, 1)
		require.NotEqual(t, string(golden), damaged, name)
		_, err := tape.Decode(strings.NewReader(damaged))
		if !errors.Is(err, tape.ErrNoTape) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTapeThatGitHasConvertedToCRLFIsTheSame(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden.tape")
	require.NoError(t, err)
	want, err := tape.Decode(bytes.NewReader(golden))
	require.NoError(t, err)
	have, err := tape.Decode(bytes.NewReader(bytes.ReplaceAll(golden, []byte("\n"), []byte("\r\n"))))
	require.NoError(t, err)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
}

// TestBytesThatAreNoTextStayWhatTheyAre: fields may have bytes above 127 in any charset (RFC 9110 §5.5), and so may the query of a URL.
func TestBytesThatAreNoTextStayWhatTheyAre(t *testing.T) {
	h := http.Header{"Content-Disposition": {"attachment; filename=\"caf\xe9\""}, "X-Two": {"\xff", "é"}, "X-None": {}, "X-Empty": {""}}
	want := &tape.Tape{Exchanges: []*tape.Exchange{{
		Request:  tape.Request{Method: "GET", URL: "http://h.example/?q=caf\xe9", Host: "h\xff", Header: h, Body: []byte("\xff\n"), Trailer: h},
		Response: &tape.Response{Status: 200, Reason: "Caf\xe9", Proto: "HTTP/1.1", Header: h, Trailer: h, Chunks: []tape.Chunk{{Data: []byte("a\xff")}}},
		Failure:  &tape.Failure{Kind: tape.FailureOther, Text: "\xff"},
	}}}
	path := filepath.Join(t.TempDir(), "a.tape")
	require.NoError(t, want.Save(path))
	have, err := tape.Load(path)
	require.NoError(t, err)
	if diff := cmp.Diff(want, have, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestFileCanBeReadByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tape")
	require.NoError(t, (&tape.Tape{}).Save(path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())
	require.NoError(t, os.Chmod(path, 0o664))
	require.NoError(t, (&tape.Tape{}).Save(path))
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o664), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "what Save wrote on the way is gone")
}
