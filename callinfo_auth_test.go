package ply_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

// The record of a call and the logs show what the auth layer did, in the same words.
func TestRecordAndLogsSayWhatAuthDid(t *testing.T) {
	const refused = "t1"
	for name, test := range map[string]struct {
		url  string
		body io.Reader
		line string // of the record
		log  string
	}{
		"replayed": {"https://a.test/", nil, "  auth: replayed\n", "auth.status=replayed"},
		"rejected": {"https://a.test/", io.MultiReader(strings.NewReader("x")), "  auth: rejected (the body cannot be sent again)\n", `auth.status=rejected auth.reason="the body cannot be sent again"`},
		"skipped":  {"https://b.test/", nil, "  auth: skipped (another origin)\n", `auth.status=skipped auth.reason="another origin"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.Header.Get("Authorization"), refused) {
						w.WriteHeader(http.StatusUnauthorized)
					}
				}))
				source := auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
					if _, again := auth.RejectedFromContext(ctx); again {
						return auth.Token{Value: "t2", Expires: time.Now().Add(time.Hour)}, nil
					}
					return auth.Token{Value: refused}, nil
				})
				var log bytes.Buffer
				c, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{
					logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}),
					auth.New(auth.Options{Source: source, Origins: []string{"https://a.test"}}),
					cacheLayer, retryLayer,
					auth.Sign(auth.SignOptions{Signer: auth.SignerFunc(func(*http.Request) error { return nil }), Origins: []string{"https://none.test"}}),
				}})
				require.NoError(t, err)
				defer c.Close()
				var names []string
				for _, l := range ply.Layers(c) {
					names = append(names, l.String())
				}
				require.Equal(t, "redirects and cookies, logging, auth, cache, retry, sign, *plytest.Origin", strings.Join(names, ", "))

				r, err := http.NewRequestWithContext(ply.WithCallInfo(t.Context()), http.MethodPost, test.url, test.body)
				require.NoError(t, err)
				resp, err := c.Do(r)
				require.NoError(t, err)
				resp.Body.Close()
				info, ok := ply.CallInfoFrom(resp)
				require.True(t, ok)
				require.Equal(t, name, info.Hops[0].Auth)
				require.Contains(t, info.String(), test.line)
				text, err := json.Marshal(info)
				require.NoError(t, err)
				require.Contains(t, string(text), `"Auth":"`+name+`"`)
				require.Contains(t, log.String(), test.log)
				synctest.Wait()
			})
		})
	}
}
