package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/logging"
)

// requestFlags are the flags that say what is sent.
type requestFlags struct {
	header   []string
	data     []string
	json     string
	method   string
	head     bool
	bearer   string
	user     string
	password string

	hasData, hasJSON func() bool // the flag was given, be it empty
}

const secretSources = "env:NAME, file:PATH or ask"

func (f *requestFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.header, "header", "H", nil, "a header field, as \"Name: value\", or @FILE with one in each line; may be given again")
	flags.StringArrayVarP(&f.data, "data", "d", nil, "the content of a POST; @FILE reads a file and - stdin; given again, the parts are joined with &")
	flags.StringVar(&f.json, "json", "", "as --data, with the types for JSON")
	flags.StringVarP(&f.method, "request", "X", "", "the method")
	flags.BoolVarP(&f.head, "head", "I", false, "HEAD: the status line and the header alone")
	flags.StringVar(&f.bearer, "bearer", "", "a bearer token: "+secretSources)
	flags.StringVar(&f.user, "user", "", "the name for basic authentication")
	flags.StringVar(&f.password, "password", "ask", "the password for --user: "+secretSources)
	f.hasData = func() bool { return flags.Changed("data") }
	f.hasJSON = func() bool { return flags.Changed("json") }
	cmd.MarkFlagsMutuallyExclusive("data", "json", "head")
	cmd.MarkFlagsMutuallyExclusive("bearer", "user")
	complete(cmd, "request", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")
	complete(cmd, "bearer", "env:", "file:", "ask")
	complete(cmd, "password", "env:", "file:", "ask")
}

// options returns the method and the options of a request. It reads stdin and files at most once, for all URLs.
func (f *requestFlags) options(ctx context.Context, e *env) (method string, opts []ply.RequestOption, err error) {
	method = http.MethodGet
	if f.hasData() || f.hasJSON() {
		method = http.MethodPost
		body, err := f.body(ctx, e)
		if err != nil {
			return "", nil, err
		}
		opts = append(opts, body...)
	}
	if f.head {
		method = http.MethodHead
	}
	if f.method != "" {
		method = f.method
	}
	if !isToken(method) {
		return "", nil, usageErrorf("--request is %q, which is no method", method)
	}
	header, err := f.fields()
	if err != nil {
		return "", nil, err
	}
	for name, values := range header {
		opts = append(opts, ply.SetHeader(name, values...))
	}
	credentials, err := f.credentials(ctx, e)
	return method, append(opts, credentials...), err
}

// body returns the content of --data or --json, with the type that a field of --header may replace.
func (f *requestFlags) body(ctx context.Context, e *env) (opts []ply.RequestOption, err error) {
	contents, types := f.data, ply.SetHeader("Content-Type", "application/x-www-form-urlencoded")
	if f.hasJSON() {
		contents, types = []string{f.json}, ply.Combine(ply.SetHeader("Content-Type", "application/json"), ply.SetHeader("Accept", "application/json"))
	}
	if path, isFile := strings.CutPrefix(contents[0], "@"); isFile && path != "-" && len(contents) == 1 {
		if _, err := os.Stat(path); err != nil {
			return nil, usageErrorf("the content cannot be read: %w", err)
		}
		return []ply.RequestOption{ply.BodyFile(path), types}, nil
	}
	parts, stdin := make([][]byte, len(contents)), false
	for i, content := range contents {
		if content == "-" || content == "@-" {
			if stdin {
				return nil, usageErrorf("stdin is the content twice: it can be read once")
			}
			stdin = true
		}
		if parts[i], err = readContent(ctx, e, content); err != nil {
			return nil, err
		}
	}
	return []ply.RequestOption{ply.BodyBytes(bytes.Join(parts, []byte("&"))), types}, nil
}

// readContent returns the content that one --data or --json stands for.
func readContent(ctx context.Context, e *env, content string) ([]byte, error) {
	switch path, isFile := strings.CutPrefix(content, "@"); {
	case content == "-" || content == "@-":
		in, stop := untilDone(ctx, e.stdin)
		defer stop()
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("stdin cannot be read: %w", err)
		}
		return data, nil
	case isFile:
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usageErrorf("the content cannot be read: %w", err)
		}
		return data, nil
	}
	return []byte(content), nil
}

// fields returns the fields of --header.
func (f *requestFlags) fields() (http.Header, error) {
	h := http.Header{}
	for _, line := range f.header {
		lines := []string{line}
		if path, isFile := strings.CutPrefix(line, "@"); isFile {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, usageErrorf("the header cannot be read: %w", err)
			}
			lines = strings.Split(string(data), "\n")
		}
		for _, line := range lines {
			line = strings.TrimRight(line, "\r")
			if strings.TrimSpace(line) == "" {
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if !ok || strings.TrimSpace(name) == "" {
				return nil, usageErrorf("a header field has no colon: write \"Name: value\"") // the line may be a secret
			}
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if !isToken(name) {
				return nil, usageErrorf("%q is no name of a header field", name)
			}
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return nil, usageErrorf("the value of the header field %s has control characters", name)
			}
			h.Add(name, value)
		}
	}
	return h, nil
}

// isToken reports whether s can be a method or the name of a field (RFC 9110 §5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) })
}

func (f *requestFlags) credentials(ctx context.Context, e *env) ([]ply.RequestOption, error) {
	switch {
	case f.bearer != "":
		token, err := e.secret(ctx, "--bearer", f.bearer)
		return []ply.RequestOption{ply.Bearer(token)}, err
	case f.user != "":
		if strings.Contains(f.user, ":") {
			return nil, usageErrorf("--user is a name without a password: give that with --password %s", secretSources)
		}
		password, err := e.secret(ctx, "--password", f.password)
		return []ply.RequestOption{ply.BasicAuth(f.user, password)}, err
	}
	return nil, nil
}

// send sends the request for a URL.
func (g *getting) send(ctx context.Context, url string) (*http.Response, error) {
	req, err := g.chain.client.NewRequest(ctx, g.method, url, g.opts...)
	if err != nil {
		return nil, err
	}
	return g.chain.client.Do(req)
}

// writeCurl writes, for each URL, the command with which curl sends the same request.
func (f *getFlags) writeCurl(ctx context.Context, e *env, jobs []job, method string, opts []ply.RequestOption) error {
	client, err := ply.New(ply.Options{
		Header:    http.Header{"User-Agent": {userAgent}},
		TrustEnv:  true,
		Defaults:  f.defaults(),
		Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { return f.curlResponse(e, r, jobs) }),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, j := range jobs {
		req, err := client.NewRequest(ctx, method, j.url, opts...)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
	}
	return nil
}

// curlResponse stands in for the transport: it writes the command for r.
func (f *getFlags) curlResponse(e *env, r *http.Request, jobs []job) (*http.Response, error) {
	command := logging.Curl(r)
	if f.showSecrets {
		command = logging.CurlWithSecrets(r)
	}
	more := " --compressed"
	if f.maxRedirects > 0 {
		more += fmt.Sprintf(" --location --max-redirs %d --referer ';auto'", f.maxRedirects)
	}
	if f.insecure {
		more += " --insecure"
	}
	if f.timeout > 0 {
		more += fmt.Sprintf(" --max-time %g", f.timeout.Seconds())
	}
	for _, j := range jobs {
		if j.file != "" && j.url == r.URL.String() {
			more += " --output " + logging.ShellQuote(j.file)
		}
	}
	command = strings.Replace(command, "curl", "curl"+more, 1)
	if file, isFile := strings.CutPrefix(strings.Join(f.request.data, "&")+f.request.json, "@"); isFile && file != "-" && len(f.request.data) <= 1 {
		if i := strings.LastIndex(command, " --data-binary @body "); i >= 0 {
			command = command[:i] + " --data-binary " + logging.ShellQuote("@"+file) + command[i+len(" --data-binary @body"):]
		}
	}
	if r.Body != nil {
		r.Body.Close()
	}
	if _, err := fmt.Fprintln(e.stdout, command); err != nil {
		return nil, &outputError{err}
	}
	return &http.Response{StatusCode: http.StatusNoContent, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}
