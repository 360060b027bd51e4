package tape_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/redact"
)

// throughArchive records requests as a test does, and returns a player of the archive of that tape.
func throughArchive(t *testing.T, record func(h http.RoundTripper), origin handler, o har.Options) *tape.Player {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.tape")
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) { record(s.Middleware(origin)) }))
	recorded, err := tape.Load(path)
	require.NoError(t, err)
	archive := archived(t, recorded, o)
	require.NotContains(t, string(archive), canary)
	player, err := fromHAR(t, archive).Player(tape.PlayerOptions{})
	require.NoError(t, err)
	return player
}

func TestArchiveWithoutSecretsKeepsUsersApart(t *testing.T) {
	mine(t)
	for name, send := range waysToSayWho {
		if strings.HasSuffix(name, "content") { // which no archive without secrets has
			continue
		}
		t.Run(name, func(t *testing.T) {
			ask := func(h http.RoundTripper, user string) {
				t.Helper()
				have, err := send(t, h, user)
				require.NoError(t, err)
				require.Equal(t, user, have)
			}
			h := throughArchive(t, func(h http.RoundTripper) {
				for range 2 {
					ask(h, "ada")
					ask(h, "bob")
				}
			}, whose, har.Options{Redactor: &redact.Redactor{ShowParams: []string{"page"}}})
			ask(h, "ada") // in another order than that of the archive
			ask(h, "ada")
			ask(h, "bob")
			_, err := send(t, h, "ada")
			var unmatched *tape.UnmatchedError
			require.ErrorAs(t, err, &unmatched, "what is left is bob's")
			require.True(t, unmatched.OfOthers)
			ask(h, "bob")
		})
	}
}

// The cookies of an archive without secrets come and go as those of its tape do.
func TestSessionsOfAnArchiveWithoutSecretsStayApart(t *testing.T) {
	mine(t)
	login := func(h http.RoundTripper, name string) *user {
		u := newUser(t, name, h)
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/login", strings.NewReader(""))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+canary+"-"+name)
		resp, err := u.client.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		return u
	}
	me := func(u *user) {
		t.Helper()
		have, err := u.do(t, "me")
		require.NoError(t, err)
		require.Equal(t, u.name, have)
	}
	h := throughArchive(t, func(h http.RoundTripper) {
		ada, bob := login(h, "ada"), login(h, "bob")
		for range 2 {
			me(ada)
			me(bob)
		}
	}, sessions(true), har.Options{})
	ada, bob := login(h, "ada"), login(h, "bob")
	for _, u := range []*user{bob, bob, ada, ada} {
		me(u)
	}
	_, err := bob.do(t, "me")
	require.ErrorContains(t, err, "has been given")
}
