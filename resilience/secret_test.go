package resilience_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/limit"
)

// No error, note, log or record of the layers has a secret of the request in it.
func TestNoSecretIsTold(t *testing.T) {
	const secret = "hunter2"
	for name, o := range map[string]resilience.Options{
		"breaker": {Breaker: breaker.Options{MinRequests: 1}},
		"limit":   {Limit: limit.Options{Rate: 0.001, Queue: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				client := newClient(t, plytest.NewOrigin(plytest.ResetConnection()), append(
					[]ply.Middleware{logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Headers: true})},
					resilience.Standard(o)...)...)
				for range 3 {
					ctx := ply.WithCallInfo(t.Context())
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://user:"+secret+"@a.test/?key="+secret, nil)
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set("Authorization", "Bearer "+secret)
					_, err = client.Do(req) //nolint:bodyclose
					info, _ := ply.CallInfoFromContext(ctx)
					encoded, _ := json.Marshal(info)
					if told := fmt.Sprintf("%v %+v %s %s", err, err, info, encoded); strings.Contains(told, secret) {
						t.Errorf("a secret is told: %s", told)
					}
				}
				if strings.Contains(log.String(), secret) {
					t.Errorf("a secret is logged: %s", &log)
				}
			})
		})
	}
}
