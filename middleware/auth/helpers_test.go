package auth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/auth"
)

const api = "https://api.test"

// issuer is a token source: its tokens are named t1, t2 and so on.
type issuer struct {
	life      time.Duration // zero for tokens without an end
	took      time.Duration // to issue one
	principal string
	fail      func(call int) error // nil never fails
	same      bool                 // it always yields t1

	mu     sync.Mutex
	calls  int
	issued []string
}

func (i *issuer) Token(ctx context.Context) (auth.Token, error) {
	i.mu.Lock()
	i.calls++
	call := i.calls
	i.mu.Unlock()
	select {
	case <-time.After(i.took):
	case <-ctx.Done():
		return auth.Token{}, ctx.Err()
	}
	if i.fail != nil {
		if err := i.fail(call); err != nil {
			return auth.Token{}, err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.same || len(i.issued) == 0 {
		i.issued = append(i.issued, fmt.Sprint("t", len(i.issued)+1))
	}
	t := auth.Token{Value: i.issued[len(i.issued)-1], Principal: i.principal}
	if i.life != 0 {
		t.Expires = time.Now().Add(i.life)
	}
	return t, nil
}

func (i *issuer) asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls
}

// roundTripper makes a handler of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newRequest(t testing.TB, ctx context.Context, method, url, body string) *http.Request {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	require.NoError(t, err)
	return r
}

// get sends a GET and returns the status and the body.
func get(t testing.TB, rt http.RoundTripper, url string) (int, string) {
	t.Helper()
	return send(t, rt, newRequest(t, t.Context(), http.MethodGet, url, ""))
}

func send(t testing.TB, rt http.RoundTripper, r *http.Request) (int, string) {
	t.Helper()
	resp, err := rt.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// accepting answers with the token of the request, and with 401 unless it is one of those that are accepted.
func accepting(accepted func(token string) bool, challenge ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !accepted(token) {
			for _, c := range challenge {
				w.Header().Add("Www-Authenticate", c)
			}
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, "no: "+token)
			return
		}
		io.WriteString(w, token)
	}
}
