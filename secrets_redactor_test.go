package ply_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

// The client's redactor applies to errors, logs, hooks and records.
func TestRedactorAppliesToErrorsLogsAndRecords(t *testing.T) {
	hideNames := &redact.Redactor{Path: func(p string) string { return strings.ReplaceAll(p, "joe", "someone") }, ShowParams: []string{"page"}}
	fails := &url.Error{Op: "dial", URL: "http://a.test/joe?page=1&token=hush", Err: errors.New("no way")}
	for name, with := range map[string]func(ply.Options) (*ply.Client, func(context.Context) context.Context){
		"Options": func(o ply.Options) (*ply.Client, func(context.Context) context.Context) {
			o.Redactor = hideNames
			return newClient(t, o), func(ctx context.Context) context.Context { return ctx }
		},
		"context wins": func(o ply.Options) (*ply.Client, func(context.Context) context.Context) {
			o.Redactor = &redact.Redactor{}
			return newClient(t, o), func(ctx context.Context) context.Context { return redact.With(ctx, hideNames) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				hook := func(ctx context.Context, e retry.Event) {
					fmt.Fprintln(&said, "hook", redact.From(ctx).URL(e.Attempt.Request.URL))
				}
				origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
					"/joe":      {plytest.Status(404)},
					"/fails":    {plytest.Fail(fails)},
					"/cut":      {{Body: "hello", Fault: plytest.CutAfter(3)}},
					"/redirect": {plytest.Status(302, "Location", "/fails?page=1&token=hush")},
				}}
				client, in := with(ply.Options{Transport: origin, Use: []ply.Middleware{
					logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))}),
					retry.New(retry.Options{Rules: []retry.Rule{afterErrors}, MaxAttempts: 2, OnRetry: hook}),
				}})
				for _, path := range []string{"/joe", "/fails", "/cut", "/redirect"} {
					ctx := in(ply.WithCallInfo(t.Context()))
					_, err := ply.Bytes(ply.ErrorForStatus(client.Get(ctx, "http://a.test"+path+"?page=1&token=hush&who=joe")))
					require.Error(t, err)
					info, _ := ply.CallInfoFromContext(ctx)
					fmt.Fprintf(&said, "%s\n%s\n", err, info)
					var status *ply.StatusError
					if errors.As(err, &status) && status.URL != "http://a.test/someone?page=1&token=REDACTED&who=REDACTED" {
						t.Errorf("StatusError has %s", status.URL)
					}
				}
				if strings.Contains(said.String(), "hush") || strings.Contains(said.String(), "joe") {
					t.Errorf("a secret in\n%s", &said)
				}
				if n := strings.Count(said.String(), "page=1"); n < 15 || strings.Contains(said.String(), "page=REDACTED") {
					t.Errorf("the redactor is not asked everywhere, but %d times:\n%s", n, &said)
				}
			})
		})
	}
}

func afterErrors(a *retry.Attempt) retry.Verdict {
	if a.Err != nil {
		return retry.Retry
	}
	return retry.Undecided
}

func ExampleRedactor() {
	client, err := ply.New(ply.Options{
		Redactor:  &redact.Redactor{ShowParams: []string{"page"}},
		Transport: plytest.NewOrigin(plytest.Status(http.StatusForbidden)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = ply.Text(ply.ErrorForStatus(client.Get(context.Background(), "https://example.com/list?page=2&token=hunter2")))
	fmt.Println(err)
	// Output:
	// GET https://example.com/list?page=2&token=REDACTED: 403 Forbidden
}

func Example_redactor() {
	ctx := redact.With(context.Background(), &redact.Redactor{ShowHeaders: []string{"X-Tenant"}})
	fmt.Println(redact.From(ctx).HeaderValue("X-Tenant", "acme"))
	fmt.Println(redact.From(context.Background()).HeaderValue("X-Tenant", "acme"))
	// Output:
	// acme
	// REDACTED
}
