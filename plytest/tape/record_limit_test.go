package tape_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

func TestBodyAboveTheLimitFailsTheTestAndReachesTheCaller(t *testing.T) {
	mine(t)
	const large = "0123456789"
	post := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://u:"+canary+"@h.example/a?token="+canary, body)
		require.NoError(t, err)
		return r
	}
	echo := handler(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		return &http.Response{StatusCode: 200, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(string(body))), Request: r}, err
	})
	for name, tt := range map[string]struct {
		request *http.Request
		limit   int64
		fails   bool
	}{
		"at the limit":                    {post(strings.NewReader(large)), int64(len(large)), false},
		"the request, read twice":         {post(strings.NewReader(large)), int64(len(large)) - 1, true},
		"the request, read once":          {post(io.MultiReader(strings.NewReader(large))), int64(len(large)) - 1, true},
		"no limit that a number can have": {post(strings.NewReader(large)), 1<<63 - 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tape")
			errors := run(path, tape.Options{MaxBodyBytes: tt.limit}, func(_ *test, s *tape.Session) {
				resp, err := s.Middleware(echo).RoundTrip(tt.request)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, large, string(body))
			})
			if !tt.fails {
				require.Empty(t, errors)
				require.FileExists(t, path)
				return
			}
			require.Len(t, errors, 1)
			require.Contains(t, errors[0], "a body of POST http://REDACTED:REDACTED@h.example/a?token=REDACTED has more than 9 bytes; see Options.MaxBodyBytes")
			require.NotContains(t, errors[0], canary)
			require.NoFileExists(t, path)
		})
	}
	t.Run("the response", func(t *testing.T) {
		errors := run(filepath.Join(t.TempDir(), "a.tape"), tape.Options{MaxBodyBytes: 9}, func(_ *test, s *tape.Session) {
			body, err := send(t, s.Middleware(answers(func(*http.Request) string { return large })), "GET", "http://h.example/", "")
			require.NoError(t, err)
			require.Equal(t, large, body)
		})
		require.Len(t, errors, 1)
		require.Contains(t, errors[0], "a body of GET http://h.example/ has more than 9 bytes")
	})
	t.Run("negative", func(t *testing.T) {
		require.Equal(t, []string{"tape: MaxBodyBytes is negative"}, run(filepath.Join(t.TempDir(), "a.tape"), tape.Options{MaxBodyBytes: -1}, func(*test, *tape.Session) {}))
	})
}
