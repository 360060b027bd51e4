package tape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
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
	Method  string  `json:"method"`
	URL     word    `json:"url"`
	Host    word    `json:"host,omitempty"`
	Header  fields  `json:"header,omitempty"`
	Body    content `json:"body,omitempty"`
	Trailer fields  `json:"trailer,omitempty"`
}

type fileResponse struct {
	Status       int         `json:"status"`
	Reason       word        `json:"reason,omitempty"`
	Proto        string      `json:"proto"`
	Wait         duration    `json:"wait"`
	Header       fields      `json:"header,omitempty"`
	Length       int64       `json:"length"`
	Uncompressed bool        `json:"uncompressed,omitempty"`
	Chunks       []fileChunk `json:"chunks,omitempty"`
	Trailer      fields      `json:"trailer,omitempty"`
}

type fileChunk struct {
	At   duration `json:"at"`
	Data content  `json:"data"`
}

type fileFailure struct {
	At   duration    `json:"at"`
	Kind FailureKind `json:"kind"`
	Text word        `json:"text,omitempty"`
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
	f := fileExchange{At: duration(e.At), Request: fileRequest{Method: r.Method, URL: word(r.URL), Host: word(r.Host), Header: fields(r.Header), Body: r.Body, Trailer: fields(r.Trailer)}}
	if f.Request.Method == "" {
		f.Request.Method = http.MethodGet
	}
	if r := e.Response; r != nil {
		f.Response = &fileResponse{
			Status: r.Status, Reason: word(r.Reason), Proto: r.Proto, Wait: duration(r.Wait), Header: fields(r.Header), Length: r.Length, Uncompressed: r.Uncompressed, Trailer: fields(r.Trailer),
		}
		if r.Proto == "" {
			f.Response.Proto = "HTTP/1.1"
		}
		for _, c := range r.Chunks {
			f.Response.Chunks = append(f.Response.Chunks, fileChunk{duration(c.At), c.Data})
		}
	}
	if e.Failure != nil {
		f.Failure = &fileFailure{duration(e.Failure.At), e.Failure.Kind, word(e.Failure.Text)}
	}
	return f
}

// Decode reads a tape that [Tape.Encode] has written. What is wrong with it is an error that names the line, and wraps [ErrNoTape].
func Decode(r io.Reader) (*Tape, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return decodeTape(text)
}

func decodeTape(text []byte) (*Tape, error) {
	if i := invalid(text); i >= 0 {
		return nil, damaged(text, i, "", errors.New("it is not in UTF-8"))
	}
	var f struct {
		Version   int               `json:"tape"`
		Start     *time.Time        `json:"start"`
		Exchanges []json.RawMessage `json:"exchanges"`
	}
	switch err := json.Unmarshal(text, &f); {
	case err != nil && f.Version <= version:
		return nil, damaged(text, offsetOf(err), "", err)
	case f.Version != version:
		return nil, fmt.Errorf("%w: its version is %d", ErrNoTape, f.Version)
	}
	if err := strictly(text, &f); err != nil {
		return nil, damaged(text, 0, "", err)
	}
	t := &Tape{}
	if f.Start != nil {
		t.Start = f.Start.UTC()
	}
	last, begin := duration(0), 0
	for i, raw := range f.Exchanges {
		begin += bytes.Index(text[begin:], raw) // only blanks and a comma are before it, and what precedes the first
		var x fileExchange
		err := strictly(raw, &x)
		if err == nil {
			err = x.check(last)
		}
		if err != nil {
			return nil, damaged(text, begin+offsetOf(err), fmt.Sprintf("exchange %d: ", i), err)
		}
		begin += len(raw)
		last = x.At
		t.Exchanges = append(t.Exchanges, x.exchange())
	}
	return t, nil
}

// invalid returns where a text is no UTF-8, or -1.
func invalid(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// damaged is the error for a text that has something wrong at an offset, or after it.
func damaged(text []byte, offset int, what string, err error) error {
	return fmt.Errorf("%w: %s%w (line %d)", ErrNoTape, what, err, 1+bytes.Count(text[:min(max(offset, 0), len(text))], []byte("\n")))
}

// offsetOf returns the offset that an error of encoding/json has, or 0.
func offsetOf(err error) int {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return int(syntax.Offset)
	case errors.As(err, &kind):
		return int(kind.Offset)
	}
	return 0
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
	e := &Exchange{At: time.Duration(f.At), Request: Request{Method: r.Method, URL: string(r.URL), Host: string(r.Host), Header: http.Header(r.Header), Body: r.Body, Trailer: http.Header(r.Trailer)}}
	if r := f.Response; r != nil {
		e.Response = &Response{
			Status: r.Status, Reason: string(r.Reason), Proto: r.Proto, Header: http.Header(r.Header), Trailer: http.Header(r.Trailer), Wait: time.Duration(r.Wait), Length: r.Length, Uncompressed: r.Uncompressed,
		}
		for _, c := range r.Chunks {
			e.Response.Chunks = append(e.Response.Chunks, Chunk{time.Duration(c.At), c.Data})
		}
	}
	if f.Failure != nil {
		e.Failure = &Failure{time.Duration(f.Failure.At), f.Failure.Kind, string(f.Failure.Text)}
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
	mode := os.FileMode(0o644) // a tape is for all who have the sources
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(dir, ".tape-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text.Bytes())
	err = errors.Join(err, f.Chmod(mode))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
