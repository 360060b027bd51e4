// Package vcr reads the cassettes of go-vcr, versions 1 to 4, as tapes of [github.com/plyhttp/ply/plytest/tape].
//
//	t, err := vcr.Load("testdata/users") // users.yaml
//	…
//	err = t.Redact(nil).Save("testdata/users.tape")
//
// It is a module of its own, so that programs without cassettes do not depend on a YAML library.
package vcr

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/plyhttp/ply/plytest/tape"
)

// ErrNoCassette is the error for what is no cassette, or one of a version that this package does not know.
var ErrNoCassette = errors.New("vcr: this is no cassette of go-vcr, versions 1 to 4")

// Load reads a cassette from a file. As in go-vcr, the name may lack ".yaml".
func Load(name string) (*tape.Tape, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) && !strings.HasSuffix(name, ".yaml") {
		f, err = os.Open(name + ".yaml")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, f.Name())
	}
	return t, nil
}

// Decode reads a cassette. The tape has everything that the cassette has, secrets included; see [tape.Tape.Redact].
//
// A cassette does not know when its requests were sent: on the tape each follows the end of the one before it, and Start is zero.
// Its duration is the time until the header came; the body comes with the header, as one chunk. Where a hook has changed a body, its length follows.
func Decode(r io.Reader) (*tape.Tape, error) {
	var c cassette
	err := yaml.NewDecoder(r).Decode(&c)
	switch {
	case errors.Is(err, io.EOF):
		return nil, ErrNoCassette
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNoCassette, err)
	case c.Version != 1 && c.Version != 2:
		return nil, fmt.Errorf("%w: its version is %d", ErrNoCassette, c.Version)
	}
	t := &tape.Tape{}
	at := time.Duration(0)
	for i := range c.Interactions {
		e, err := c.Interactions[i].exchange()
		if err != nil {
			return nil, fmt.Errorf("vcr: interaction %d: %w", i, err)
		}
		e.At = at
		at += e.Response.Wait
		t.Exchanges = append(t.Exchanges, e)
	}
	return t, nil
}

// A cassette is the file. The formats of version 1 (go-vcr 1 and 2) and of version 2 (go-vcr 3 and 4) differ in what they have, not in how they name it.
type cassette struct {
	Version      int           `yaml:"version"`
	Interactions []interaction `yaml:"interactions"`
}

type interaction struct {
	Request struct {
		Method  string      `yaml:"method"`
		URL     string      `yaml:"url"`
		Host    string      `yaml:"host"`
		Headers http.Header `yaml:"headers"`
		Trailer http.Header `yaml:"trailer"`
		Body    string      `yaml:"body"`
	} `yaml:"request"`
	Response struct {
		Proto        string      `yaml:"proto"`
		Status       string      `yaml:"status"`
		Code         int         `yaml:"code"`
		Headers      http.Header `yaml:"headers"`
		Trailer      http.Header `yaml:"trailer"`
		Length       *int64      `yaml:"content_length"`
		Uncompressed bool        `yaml:"uncompressed"`
		Body         string      `yaml:"body"`
		Duration     duration    `yaml:"duration"`
	} `yaml:"response"`
}

func (i *interaction) exchange() (*tape.Exchange, error) {
	address, host, err := i.target()
	if err != nil {
		return nil, err
	}
	if i.Response.Code < 100 || i.Response.Code > 999 {
		return nil, fmt.Errorf("the code %d is no status of HTTP", i.Response.Code)
	}
	r := &tape.Response{
		Status: i.Response.Code, Proto: i.Response.Proto, Header: canonical(i.Response.Headers), Trailer: canonical(i.Response.Trailer),
		Wait: time.Duration(i.Response.Duration), Length: -1, Uncompressed: i.Response.Uncompressed,
	}
	if _, reason, _ := strings.Cut(i.Response.Status, " "); reason != http.StatusText(i.Response.Code) {
		r.Reason = reason
	}
	if body := i.Response.Body; body != "" {
		r.Chunks = []tape.Chunk{{Data: []byte(body)}}
	}
	method := cmp.Or(i.Request.Method, http.MethodGet)
	r.Length = i.length(r.Header.Get("Content-Length"), method)
	if r.Header.Get("Content-Length") != "" && r.Length >= 0 {
		r.Header.Set("Content-Length", strconv.FormatInt(r.Length, 10))
	}
	return &tape.Exchange{
		Request:  tape.Request{Method: method, URL: address, Host: host, Header: canonical(i.Request.Headers), Trailer: canonical(i.Request.Trailer), Body: []byte(i.Request.Body)},
		Response: r,
	}, nil
}

// target returns the URL of the request, and the host that it named if that is another one. The middleware of go-vcr records the requests of a server: their URLs have no host.
func (i *interaction) target() (address, host string, err error) {
	u, err := url.Parse(i.Request.URL)
	if err != nil {
		return "", "", errors.New("its URL cannot be parsed")
	}
	if host = i.Request.Host; u.Host == "" && u.Scheme == "" && strings.HasPrefix(u.Path, "/") {
		u.Scheme, u.Host = "http", host
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", "", errors.New("its URL is not that of an HTTP request")
	}
	if host == u.Host {
		host = ""
	}
	return u.String(), host, nil
}

// length returns the length that the response announced. Hooks change bodies and not their lengths: then it is that of the body.
func (i *interaction) length(announced, method string) int64 {
	length := int64(-1)
	if i.Response.Length != nil {
		length = *i.Response.Length
	} else if n, err := strconv.ParseInt(announced, 10, 64); err == nil {
		length = n
	}
	if length < 0 {
		return -1
	}
	if body := int64(len(i.Response.Body)); body > 0 || method != http.MethodHead && i.Response.Code != http.StatusNotModified {
		return body
	}
	return length
}

// canonical returns a header with the names that net/http gives fields. It is nil for none.
func canonical(h http.Header) http.Header {
	if len(h) == 0 {
		return nil
	}
	c := make(http.Header, len(h))
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		c[name] = append(c[name], values...)
	}
	return c
}

// A duration is one of a cassette: "", a text such as 12.5ms, or nanoseconds.
type duration time.Duration

func (d *duration) UnmarshalYAML(node *yaml.Node) error {
	if node.Value == "" {
		return nil
	}
	n, err := strconv.ParseInt(node.Value, 10, 64)
	parsed := time.Duration(n)
	if err != nil {
		parsed, err = time.ParseDuration(node.Value)
	}
	if err != nil {
		return fmt.Errorf("line %d: %q is no duration", node.Line, node.Value)
	}
	*d = duration(min(max(parsed, 0), longest))
	return nil
}

// longest is the longest that a response of a cassette may have taken, so that the times of many can be added.
const longest = 10 * 24 * time.Hour
