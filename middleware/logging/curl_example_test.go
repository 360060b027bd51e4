package logging_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/plyhttp/ply/middleware/logging"
)

func ExampleCurlWithSecrets() {
	req, err := http.NewRequest("POST", "https://example.com/a?token=t0ken#part", strings.NewReader(`{"password":"it's"}`))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer s3cret")
	fmt.Println(logging.Curl(req))
	fmt.Println(logging.CurlWithSecrets(req))
	// Output:
	// curl -H 'Authorization: REDACTED' -H 'Content-Type: application/json' --data-binary '{"password":"REDACTED"}' 'https://example.com/a?token=REDACTED'
	// curl -H 'Authorization: Bearer s3cret' -H 'Content-Type: application/json' --data-binary '{"password":"it'\''s"}' 'https://example.com/a?token=t0ken'
}

func ExampleShellQuote() {
	fmt.Println(logging.ShellQuote("image.iso"), logging.ShellQuote("it's $HOME"), logging.ShellQuote("a\x1b[2Jb"))
	// Output: image.iso 'it'\''s $HOME' 'a?[2Jb'
}
