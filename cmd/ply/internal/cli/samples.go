package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/middleware/cache/cachelint"
)

// A sample is an exchange that is explained or checked: its answer as it came, before anything decoded it. It has no body.
type sample = cachelint.Exchange

// sampleFlags are the flags of commands that look at exchanges.
type sampleFlags struct {
	header   []string
	har      string
	timeout  time.Duration
	insecure bool
}

func (f *sampleFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.header, "header", "H", nil, "a header field, as \"Name: value\", or @FILE with one in each line; may be given again")
	flags.StringVar(&f.har, "har", "", "look at the exchanges of this HTTP Archive, and ask no origin")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "bound on each request; 0 means none")
	flags.BoolVarP(&f.insecure, "insecure", "k", false, "do not verify the server's certificate")
}

// chain is the chain that requests go through: they are sent once, and a redirect is an answer like any other.
func (f *sampleFlags) chain(store string) *chainFlags {
	return &chainFlags{cache: store, timeout: f.timeout, insecure: f.insecure}
}

// checkURLs refuses arguments without a URL to look at, or with what is none.
func (f *sampleFlags) checkURLs(urls []string) error {
	if len(urls) == 0 && f.har == "" {
		return usageErrorf("give a URL, or an archive by --har")
	}
	for _, arg := range urls {
		if _, err := parseURL(arg); err != nil {
			return err
		}
	}
	return nil
}

// parseURL reads a URL of HTTP from the command line.
func parseURL(arg string) (*url.URL, error) {
	u, err := url.Parse(arg)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		if u, err := url.Parse("https://" + arg); err == nil && u.User == nil && u.Host != "" && !strings.Contains(arg, ":") {
			return nil, usageErrorf("%q is no URL: write https://%s", printableLine(arg), printableLine(arg))
		}
		return nil, usageErrorf("%q is no URL: write https://HOST/PATH", printableLine(arg))
	}
	return u, nil
}

// A capture is a layer below all others: it keeps the last exchange as it went over the wire.
type capture struct {
	mu   sync.Mutex // guards last
	last sample
}

func (c *capture) middleware(next http.RoundTripper) http.RoundTripper {
	return &captured{next, c}
}

type captured struct {
	next http.RoundTripper
	seen *capture
}

func (l *captured) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	seen := *resp
	seen.Header, seen.Body = resp.Header.Clone(), unread{}
	switch {
	case resp.ContentLength == 0:
		seen.Body = http.NoBody
	case resp.ContentLength < 0 && resp.StatusCode >= http.StatusOK:
		body := &unannounced{ReadCloser: resp.Body}
		seen.Body, resp.Body = body, body
	}
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	l.seen.last = sample{Request: r.Clone(r.Context()), Response: &seen, Received: time.Now()}
	return resp, nil
}

// Unwrap lets the cache see the transport below, so that its keys are those of ply get.
func (l *captured) Unwrap() http.RoundTripper { return l.next }

// unread stands for a body that is not looked at.
type unread struct{}

func (unread) Read([]byte) (int, error) { return 0, io.EOF }
func (unread) Close() error             { return nil }

// unannounced is a body whose length no field has announced. It is read by one goroutine at a time.
type unannounced struct {
	io.ReadCloser
	read int64
}

func (u *unannounced) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	u.read += int64(n)
	return n, err
}

// measure reads up to limit bytes and one, and returns how many the body has as far as that.
func (u *unannounced) measure(limit int64) (int64, error) {
	_, err := io.CopyN(io.Discard, u, limit+1-u.read)
	if err == io.EOF {
		err = nil
	}
	return u.read, err
}

// fetch sends a request and returns the exchange as seen below all layers. The body of the answer is not read; closed ends it.
func fetch(client *ply.Client, req *http.Request, seen *capture) (_ sample, closed func() error, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return sample{}, nil, err
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	return seen.last, resp.Body.Close, nil
}

// eachOfArchive calls do with each exchange of the archive that had an answer: with all, or with those of the URLs.
func (f *sampleFlags) eachOfArchive(urls []string, do func(sample) error) error {
	file, err := os.Open(f.har)
	if err != nil {
		return err
	}
	defer file.Close()
	found := false
	for entry, err := range har.Entries(bufio.NewReader(file)) {
		if err != nil {
			return fmt.Errorf("%s: %w", f.har, err)
		}
		if entry.Response.Status < 200 || len(urls) > 0 && !slices.Contains(urls, entry.Request.URL) {
			continue
		}
		s, err := sampleOf(entry)
		if err != nil {
			return fmt.Errorf("%s: %w", f.har, err)
		}
		found = true
		if err := do(s); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s has no such exchange with an answer", f.har)
	}
	return nil
}

// sampleOf is an entry of an archive, with the fields of the answer as they were recorded.
func sampleOf(entry *har.Entry) (sample, error) {
	u, err := url.Parse(entry.Request.URL)
	if err != nil {
		return sample{}, err
	}
	u.Fragment, u.RawFragment = "", ""
	req := &http.Request{Method: entry.Request.Method, URL: u, Host: u.Host, Header: fieldsOf(entry.Request.Headers)}
	resp := &http.Response{
		StatusCode: entry.Response.Status, Header: fieldsOf(entry.Response.Headers), Request: req, Body: unread{},
		Proto: entry.Response.HTTPVersion, ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
	}
	if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	}
	if resp.ContentLength == 0 {
		resp.Body = http.NoBody
	}
	return sample{Request: req, Response: resp, Received: entry.Started.Add(time.Duration(entry.Time * float64(time.Millisecond)))}, nil
}

// fieldsOf is the header that pairs of an archive make. HTTP/2's pseudo fields are left out, and the lines that browsers join by a line feed come apart.
func fieldsOf(pairs []har.Pair) http.Header {
	h := http.Header{}
	for _, p := range pairs {
		if p.Name == "" || strings.HasPrefix(p.Name, ":") {
			continue
		}
		for value := range strings.SplitSeq(p.Value, "\n") {
			h.Add(p.Name, value)
		}
	}
	return h
}

// readResponse reads an answer to req as it came over the wire: from a file, or from stdin. Only its header counts.
func readResponse(e *env, path string, req *http.Request) (*http.Response, error) {
	in := e.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(wireHeader(string(text)))), req)
	if err != nil {
		return nil, fmt.Errorf("%s is no HTTP answer with a status line and a header: %w", cmp.Or(path, "stdin"), err)
	}
	if resp.ContentLength < 0 {
		resp.Close = false // a file ends; a connection need not
	}
	return resp, nil
}

// wireHeader is a header that may have been copied from a terminal: HTTP/2's status line gets a minor version, and an end is added if it has none.
func wireHeader(text string) string {
	text = strings.TrimLeft(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for _, major := range []string{"HTTP/2 ", "HTTP/3 "} {
		if rest, ok := strings.CutPrefix(text, major); ok {
			text = major[:len(major)-1] + ".0 " + rest
		}
	}
	head, body, whole := strings.Cut(text, "\n\n")
	if !whole {
		head = strings.TrimRight(head, "\n")
	}
	return strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
}
