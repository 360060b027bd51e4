package redact_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/plyhttp/ply/redact"
)

func ExampleRedactor() {
	u, _ := url.Parse("https://joe:hunter2@bucket.example/report.pdf?page=2&X-Amz-Signature=5f1e")
	var r *redact.Redactor // nil hides all that may be secret
	fmt.Println(r.URL(u))

	r = &redact.Redactor{HideParams: redact.SignedURLs}
	fmt.Println(r.URL(u))
	// Output:
	// https://REDACTED:REDACTED@bucket.example/report.pdf?page=REDACTED&X-Amz-Signature=REDACTED
	// https://REDACTED:REDACTED@bucket.example/report.pdf?page=2&X-Amz-Signature=REDACTED
}

func ExampleRedactor_URLTemplate() {
	r := &redact.Redactor{Path: func(path string) string { return strings.ReplaceAll(path, "bot42:hunter2", "bot") }}
	fmt.Println(r.URLTemplate("/bot42:hunter2/{method}"))
	// Output:
	// /bot/{method}
}

func ExampleWith() {
	ctx := redact.With(context.Background(), &redact.Redactor{ShowParams: []string{"page"}})
	fmt.Println(redact.From(ctx).Query("page=2&key=hunter2"))
	fmt.Println(redact.From(context.Background()).Query("page=2&key=hunter2"))
	// Output:
	// page=2&key=REDACTED
	// page=REDACTED&key=REDACTED
}

func ExampleError() {
	err := &url.Error{Op: "Get", URL: "https://example.com/?token=hunter2", Err: errors.New("connection refused")}
	fmt.Println(redact.Error(err))
	// Output:
	// Get "https://example.com/?token=REDACTED": connection refused
}
