package tape_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/plytest/tape"
)

func TestTestsWithOtherRequestsCannotRecordOneFile(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	record := func(target string) []string {
		return run(path, tape.Options{Mode: tape.ModeRecord}, func(_ *test, s *tape.Session) {
			_, err := send(t, s.Middleware(answers(func(*http.Request) string { return "{}" })), "GET", "http://h.example"+target, "")
			require.NoError(t, err)
		})
	}
	require.Empty(t, record("/a"))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	reported := record("/b")
	require.Len(t, reported, 1)
	require.Contains(t, reported[0], "a tape of its own")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	require.Empty(t, record("/a"), "the same test, run again")
	require.NoError(t, os.Remove(path))
	require.Empty(t, record("/b"), "the tape of the other test is gone")
}

func TestOneOfTestsThatRecordOneFileAtOnceFails(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	var failed sync.Map
	var tests sync.WaitGroup
	for _, target := range []string{"/a", "/b"} {
		tests.Go(func() {
			failed.Store(target, len(run(path, tape.Options{Mode: tape.ModeRecord}, func(_ *test, s *tape.Session) {
				_, err := send(t, s.Middleware(answers(func(*http.Request) string { return "{}" })), "GET", "http://h.example"+target, "")
				require.NoError(t, err)
			})))
		})
	}
	tests.Wait()
	a, _ := failed.Load("/a")
	b, _ := failed.Load("/b")
	if a.(int)+b.(int) != 1 {
		t.Errorf("%d and %d failures, want one", a, b)
	}
}

func TestTapeThatCannotBeLookedAtIsAnError(t *testing.T) {
	mine(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for name, path := range map[string]string{"in a file": filepath.Join(dir, "file", "a.tape"), "a directory": dir, "empty": filepath.Join(dir, "file")} {
		asked := false
		reported := run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			send(t, s.Middleware(answers(func(*http.Request) string { asked = true; return "{}" })), "GET", "http://h.example/", "")
		})
		if len(reported) != 1 || asked || !strings.Contains(reported[0], path) {
			t.Errorf("%s: %q, asked: %v", name, reported, asked)
		}
	}
}

func TestRequestAfterTheTestIsAnErrorOnly(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	require.NoError(t, (&tape.Tape{}).Save(path))
	var rt http.RoundTripper
	var over *test
	require.Empty(t, run(path, tape.Options{}, func(test *test, s *tape.Session) { over, rt = test, s.Middleware(noServer(t)) }))
	_, err := send(t, rt, "GET", "http://h.example/", "")
	var unmatched *tape.UnmatchedError
	require.ErrorAs(t, err, &unmatched)
	require.Empty(t, over.errors, "testing panics if a test fails after its end")
}

func TestRequestThatCannotBeComparedFailsTheTest(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	require.NoError(t, (&tape.Tape{}).Save(path))
	refused := errors.New("too strange")
	o := tape.Options{Match: keying.New(keying.URL(keying.URLOptions{}), keying.Principal(func(*http.Request) (string, error) { return "", refused }))}
	reported := run(path, o, func(_ *test, s *tape.Session) {
		_, err := send(t, s.Middleware(noServer(t)), "GET", "http://h.example/", "")
		require.ErrorIs(t, err, refused)
	})
	require.Len(t, reported, 1)
	require.Contains(t, reported[0], "too strange")
}
