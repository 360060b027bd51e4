package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/plytest"
)

const secret = "tok3n-of-alic3"

// printed is what value shows, however it is printed or encoded.
func printed(t *testing.T, value any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb, value)
	}
	text, err := json.Marshal(value)
	require.NoError(t, err)
	b.Write(text)
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("x", "value", value)
	}
	return b.String()
}

func TestTokenIsNeverPrinted(t *testing.T) {
	token := auth.Token{Value: secret, Principal: "alice", Expires: time.Unix(0, 0)}
	for _, value := range []any{token, &token, []auth.Token{token}, struct{ Token auth.Token }{token}, map[string]any{"t": token}} {
		text := printed(t, value)
		require.NotContains(t, text, secret)
		require.NotContains(t, text, fmt.Sprintf("%x", secret))
		require.Contains(t, text, "alice")
	}
	require.NotContains(t, fmt.Sprintf("%+v %#v", auth.Static(token), auth.APIKey("me", secret)), secret)
	rt := auth.New(auth.Options{Source: auth.Static(token), Origins: []string{api}})(plytest.NewOrigin())
	get(t, rt, api)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", rt, rt, rt), secret)
}

// An error of a source is without the tokens that are known, also if the source writes them into it.
func TestErrorHasNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		source := auth.SourceFunc(func(context.Context) (auth.Token, error) {
			if calls.Add(1) == 1 {
				return auth.Token{Value: secret, Expires: time.Now().Add(time.Minute)}, nil
			}
			return auth.Token{Value: "other-" + secret}, fmt.Errorf("POST https://me:pw0rd@issuer.test: %s (%s) was revoked", secret, "other-"+secret)
		})
		hook := make(chan error, 9)
		origin := plytest.NewHandlerOrigin(accepting(func(string) bool { return calls.Load() < 2 }))
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}, OnRefresh: func(r auth.Refresh) { hook <- r.Err }})(origin)
		get(t, rt, api)
		time.Sleep(time.Hour)
		_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
		require.Error(t, err)
		require.NoError(t, <-hook)
		for _, err := range []error{err, <-hook} {
			text := printed(t, err)
			require.NotContains(t, text, secret)
			require.NotContains(t, text, "pw0rd")
			require.Contains(t, err.Error(), "was revoked")
		}
	})
}

func TestSignersErrorHasNoSecret(t *testing.T) {
	rt := auth.Sign(auth.SignOptions{Origins: []string{api}, Signer: auth.SignerFunc(func(*http.Request) error {
		return fmt.Errorf("password=%q is wrong", secret)
	})})(plytest.NewOrigin())
	_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
	require.ErrorContains(t, err, "auth: the request could not be signed")
	require.NotContains(t, printed(t, err), secret)
}

func TestTextsSayWhatIsKnown(t *testing.T) {
	token := auth.Token{Value: secret, Principal: "alice", Expires: time.Unix(0, 0)}
	require.Equal(t, `REDACTED of "alice" until 1970-01-01T00:00:00Z`, fmt.Sprintf("%+v", token))
	require.Equal(t, "REDACTED", auth.Token{Value: secret}.String())

	synctest.Test(t, func(t *testing.T) {
		_, rt := newAPI(auth.Options{Account: accountOf, Source: &issuer{fail: func(int) error { return errDown }}})
		_, err := rt.RoundTrip(newRequest(t, as(t.Context(), "bob"), "GET", api, ""))
		require.Equal(t, `auth: no token for account "bob": issuer is down; the source is asked again after 2000-01-01T00:00:01Z`, fmt.Sprintf("%v", err))
		var failed *auth.Error
		require.ErrorAs(t, err, &failed)
		require.False(t, failed.Timeout())
		require.Equal(t, "issuer is down", fmt.Sprintf("%+v", failed.Unwrap()))
		_, err = rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
		require.Equal(t, "auth: no account for the request: no user", err.Error())
	})
}
