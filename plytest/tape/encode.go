package tape

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrNoTape is the error for what is no tape, or one of a later version of the format.
var ErrNoTape = errors.New("tape: this is no tape that this version of ply knows")

// version is that of the format. A change that older readers would misread increases it.
const version = 1

// file is a tape as it is written: JSON, indented, in the order of the exchanges, with text as lines, so that differences are read line by line.
type file struct {
	Version   int            `json:"tape"`
	Start     *time.Time     `json:"start,omitempty"`
	Exchanges []fileExchange `json:"exchanges"`
}

type fileExchange struct {
	At       duration      `json:"at"`
	Request  fileRequest   `json:"request"`
	Response *fileResponse `json:"response,omitempty"`
	Failure  *fileFailure  `json:"failure,omitempty"`
}

type fileRequest struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Host    string      `json:"host,omitempty"`
	Header  http.Header `json:"header,omitempty"`
	Body    content     `json:"body,omitempty"`
	Trailer http.Header `json:"trailer,omitempty"`
}

type fileResponse struct {
	Status       int         `json:"status"`
	Proto        string      `json:"proto"`
	Wait         duration    `json:"wait"`
	Header       http.Header `json:"header,omitempty"`
	Length       int64       `json:"length"`
	Uncompressed bool        `json:"uncompressed,omitempty"`
	Chunks       []fileChunk `json:"chunks,omitempty"`
	Trailer      http.Header `json:"trailer,omitempty"`
}

type fileChunk struct {
	At   duration `json:"at"`
	Data content  `json:"data"`
}

type fileFailure struct {
	At   duration    `json:"at"`
	Kind FailureKind `json:"kind"`
	Text string      `json:"text,omitempty"`
}

// Encode writes the tape: JSON that people can read and compare, with bodies as lines of text where they are text. It writes what the tape has, secrets included.
func (t *Tape) Encode(w io.Writer) error {
	f := file{Version: version, Exchanges: []fileExchange{}}
	if !t.Start.IsZero() {
		start := t.Start.UTC()
		f.Start = &start
	}
	for _, e := range t.Exchanges {
		f.Exchanges = append(f.Exchanges, e.file())
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(f)
}

func (e *Exchange) file() fileExchange {
	r := e.Request
	f := fileExchange{At: duration(e.At), Request: fileRequest{Method: r.Method, URL: r.URL, Host: r.Host, Header: r.Header, Body: r.Body, Trailer: r.Trailer}}
	if f.Request.Method == "" {
		f.Request.Method = http.MethodGet
	}
	if r := e.Response; r != nil {
		f.Response = &fileResponse{
			Status: r.Status, Proto: r.Proto, Wait: duration(r.Wait), Header: r.Header, Length: r.Length, Uncompressed: r.Uncompressed, Trailer: r.Trailer,
		}
		if r.Proto == "" {
			f.Response.Proto = "HTTP/1.1"
		}
		for _, c := range r.Chunks {
			f.Response.Chunks = append(f.Response.Chunks, fileChunk{duration(c.At), c.Data})
		}
	}
	if e.Failure != nil {
		f.Failure = &fileFailure{duration(e.Failure.At), e.Failure.Kind, e.Failure.Text}
	}
	return f
}

// Decode reads a tape that [Tape.Encode] has written.
func Decode(r io.Reader) (*Tape, error) {
	var f file
	var read bytes.Buffer
	switch err := json.NewDecoder(io.TeeReader(r, &read)).Decode(&f); {
	case errors.Is(err, io.EOF):
		return nil, ErrNoTape
	case err != nil:
		return nil, fmt.Errorf("%w: %w%s", ErrNoTape, err, place(err, read.Bytes()))
	case f.Version != version:
		return nil, fmt.Errorf("%w: its version is %d", ErrNoTape, f.Version)
	}
	t := &Tape{}
	if f.Start != nil {
		t.Start = f.Start.UTC()
	}
	last := duration(0)
	for i, x := range f.Exchanges {
		if err := x.check(last); err != nil {
			return nil, fmt.Errorf("%w: exchange %d: %w", ErrNoTape, i, err)
		}
		last = x.At
		t.Exchanges = append(t.Exchanges, x.exchange())
	}
	return t, nil
}

// place says in which line of a text an error of its decoder is, or nothing if the error does not say.
func place(err error, text []byte) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var offset int64
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	case errors.Is(err, io.ErrUnexpectedEOF):
		offset = int64(len(text))
	default:
		return ""
	}
	return fmt.Sprintf(" (line %d)", 1+bytes.Count(text[:min(offset, int64(len(text)))], []byte("\n")))
}

// check reports what is against an exchange that follows one at a time.
func (f *fileExchange) check(last duration) error {
	switch {
	case f.At < last:
		return errors.New("it was sent before the one above it")
	case f.Response == nil && f.Failure == nil:
		return errors.New("it has neither a response nor a failure")
	case f.Response == nil:
		return nil
	case f.Response.Status < 100 || f.Response.Status > 999 || f.Response.Length < -1 || f.Response.Wait < 0:
		return errors.New("its response has no status, no length or no wait of HTTP")
	}
	at := duration(0)
	for _, c := range f.Response.Chunks {
		if c.At < at || len(c.Data) == 0 {
			return errors.New("a chunk is empty, or it came before the one above it")
		}
		at = c.At
	}
	return nil
}

func (f *fileExchange) exchange() *Exchange {
	r := f.Request
	e := &Exchange{At: time.Duration(f.At), Request: Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: r.Header, Body: r.Body, Trailer: r.Trailer}}
	if r := f.Response; r != nil {
		e.Response = &Response{Status: r.Status, Proto: r.Proto, Header: r.Header, Trailer: r.Trailer, Wait: time.Duration(r.Wait), Length: r.Length, Uncompressed: r.Uncompressed}
		for _, c := range r.Chunks {
			e.Response.Chunks = append(e.Response.Chunks, Chunk{time.Duration(c.At), c.Data})
		}
	}
	if f.Failure != nil {
		e.Failure = &Failure{time.Duration(f.Failure.At), f.Failure.Kind, f.Failure.Text}
	}
	return e
}

// Load reads a tape from a file.
func Load(path string) (*Tape, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, path)
	}
	return t, nil
}

// Save writes the tape to a file, and makes its directory. A file that is there is replaced at once: a reader sees the old tape or the new one.
func (t *Tape) Save(path string) error {
	var text bytes.Buffer
	if err := t.Encode(&text); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".tape-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// A duration is written as text, such as "1.5s".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// content is written as text: as one string, or as a list of its lines. What is no text is an object with base64.
type content []byte

type binary struct {
	Base64 []string `json:"base64"`
}

// lineBytes is how many bytes a line of base64 stands for.
const lineBytes = 57

func (c content) MarshalJSON() ([]byte, error) {
	if !utf8.Valid(c) {
		var b binary
		for rest := []byte(c); len(rest) > 0; rest = rest[min(lineBytes, len(rest)):] {
			b.Base64 = append(b.Base64, base64.StdEncoding.EncodeToString(rest[:min(lineBytes, len(rest))]))
		}
		return json.Marshal(b)
	}
	if lines := strings.SplitAfter(string(c), "\n"); len(lines) > 1 {
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		return plainJSON(lines)
	}
	return plainJSON(string(c))
}

// plainJSON leaves <, > and & as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	err := out.Encode(v)
	return b.Bytes(), err
}

func (c *content) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case '"':
		var s string
		err := json.Unmarshal(text, &s)
		*c = content(s)
		return err
	case '[':
		var lines []string
		err := json.Unmarshal(text, &lines)
		*c = content(strings.Join(lines, ""))
		return err
	}
	var b binary
	if err := json.Unmarshal(text, &b); err != nil {
		return err
	}
	*c = nil
	for _, line := range b.Base64 {
		part, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return err
		}
		*c = append(*c, part...)
	}
	return nil
}
