package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// maxJSONBody bounds a body within --format json, which is held in memory.
const maxJSONBody = 64 << 20

// outcome is what came of a URL.
type outcome struct {
	job
	resp    *http.Response
	bytes   int64  // of the body, or of the file
	resumed int64  // of these, what was there
	body    []byte // for --format json
	stored  *storings
}

// An outputError says that stdout or the terminal failed, rather than the network.
type outputError struct{ err error }

func (e *outputError) Error() string { return "the output cannot be written: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// write writes the body of a response where the flags say.
func (g *getting) write(out *outcome) error {
	resp := out.resp
	defer resp.Body.Close()
	if g.f.fail {
		if _, err := ply.ErrorForStatus(resp, nil); err != nil {
			return err
		}
	}
	if out.file != "" {
		return out.save()
	}
	if g.env.json() {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxJSONBody+1))
		out.body, out.bytes = data, int64(len(data))
		if err == nil && len(data) > maxJSONBody {
			err = fmt.Errorf("the body of %s is longer than 64 MiB, too long for --format json: add -o FILE", out.url)
		}
		return networkError(err)
	}
	if g.f.include || g.f.request.head {
		if err := g.writeHeader(resp); err != nil {
			return err
		}
	}
	return g.writeBody(out)
}

// save writes the body to the file: whole or not at all, or, to a device or a named pipe, as it comes.
func (out *outcome) save() (err error) {
	if isRegular(out.file) {
		out.bytes, err = ply.Save(out.file)(out.resp, nil)
		return savingError(out.resp, err)
	}
	f, err := os.OpenFile(out.file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	out.bytes, err = copyTo(f, out.resp.Body)
	return errors.Join(err, f.Close())
}

// isRegular reports whether a file of that name is or can become a regular one, as /dev/null cannot. The empty name stands for stdout.
func isRegular(name string) bool {
	if name == "" {
		return false
	}
	info, err := os.Stat(name)
	return err != nil || info.Mode().IsRegular() || info.IsDir()
}

// writeHeader writes the status line and the fields, sorted, each on its line.
func (g *getting) writeHeader(resp *http.Response) error {
	st := g.env.style()
	shown := func(s string) string { return s }
	if g.env.stdoutTTY {
		shown = printableLine
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, st.bold(shown(resp.Status)))
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, value := range resp.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", st.cyan(shown(name)), shown(value))
		}
	}
	b.WriteByte('\n')
	if _, err := io.WriteString(g.env.stdout, b.String()); err != nil {
		return &outputError{err}
	}
	return nil
}

// writeBody writes the body to stdout: as it is into a file or a pipe, or for -o -; to a terminal, text that can do nothing to it.
func (g *getting) writeBody(out *outcome) (err error) {
	w, body := io.Writer(g.env.stdout), io.Reader(out.resp.Body)
	if g.env.stdoutTTY && g.f.output != "-" {
		beginning := make([]byte, 512)
		n, readErr := io.ReadFull(body, beginning)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return networkError(readErr)
		}
		beginning = beginning[:n]
		if !isText(out.resp.Header.Get("Content-Type"), beginning) {
			return fmt.Errorf("the body is not text and would garble the terminal: add -O, -o FILE, or -o - to see it anyway")
		}
		p := &printableWriter{w: w}
		defer func() {
			if closeErr := p.Close(); err == nil && closeErr != nil {
				err = &outputError{closeErr}
			}
		}()
		w, body = p, io.MultiReader(bytes.NewReader(beginning), body)
	}
	out.bytes, err = copyTo(w, body)
	return err
}

// copyTo copies and says which side failed.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	out := &failingWriter{w: w}
	n, err := io.Copy(out, r)
	if out.err != nil {
		return n, &outputError{out.err}
	}
	return n, networkError(err)
}

type failingWriter struct {
	w   io.Writer
	err error
}

func (f *failingWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.err = err
	return n, err
}

// networkError gives an error of a body the exit code for an answer of which a part came.
func networkError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &codedError{exitNetwork, fmt.Errorf("the body broke off: %w", err)}
}

// savingError gives an error of [ply.Save] or [ply.Client.Download] its exit code: once there was a response, it is that of a file, of the status, or of a body that broke off.
func savingError(resp *http.Response, err error) error {
	if err == nil || resp == nil || errors.Is(err, context.Canceled) || errors.As(err, new(*ply.StatusError)) || isFileError(err) {
		return err
	}
	return &codedError{exitNetwork, err}
}

// isText reports whether content of a type that begins like this is text.
func isText(contentType string, beginning []byte) bool {
	if bytes.IndexByte(beginning, 0) >= 0 {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(contentType)
	if mediaType == "" || mediaType == "application/octet-stream" {
		return utf8.Valid(beginning[:len(beginning)-unfinished(beginning)])
	}
	_, subtype, _ := strings.Cut(mediaType, "/")
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(subtype, "+json") || strings.HasSuffix(subtype, "+xml") ||
		slices.Contains([]string{"json", "xml", "javascript", "yaml", "toml", "x-ndjson", "x-www-form-urlencoded", "graphql"}, subtype)
}

// gotJSON is the line of --format json for a URL.
type gotJSON struct {
	URL    string      `json:"url"`
	Error  string      `json:"error,omitempty"`  // without secrets
	Status int         `json:"status,omitempty"` // this and the next two are there if there was an answer
	Proto  string      `json:"proto,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Cache  string      `json:"cache,omitempty"`
	// NotStored says why an answer was not stored after all that its header had be stored, such as for its length.
	NotStored string `json:"notStored,omitempty"`

	Bytes   int64        `json:"bytes"`
	Resumed int64        `json:"resumed,omitempty"`
	File    string       `json:"file,omitempty"`
	Body    *string      `json:"body,omitempty"`
	Base64  string       `json:"bodyBase64,omitempty"`
	Record  ply.CallInfo `json:"record"`
}

// describe writes what --format json shows of a URL, with the error if there is one, or what -i does of a download.
func (g *getting) describe(ctx context.Context, out *outcome, failed error) error {
	if !g.env.json() {
		if out.file != "" && g.f.include && out.resp != nil {
			return g.writeHeader(out.resp)
		}
		return nil
	}
	line := gotJSON{URL: out.url, Bytes: out.bytes, Resumed: out.resumed, File: out.file}
	line.Error, line.NotStored = errorText(failed), out.stored.refused()
	if resp := out.resp; resp != nil {
		line.Status, line.Proto, line.Header = resp.StatusCode, resp.Proto, resp.Header
		if status, ok := cache.StatusOf(resp); ok {
			line.Cache = status.Outcome()
		}
		if text := string(out.body); out.file == "" && utf8.ValidString(text) {
			line.Body = &text
		} else {
			line.Base64 = base64.StdEncoding.EncodeToString(out.body)
		}
	}
	line.Record, _ = ply.CallInfoFromContext(ctx)
	encoder := json.NewEncoder(g.env.stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return &outputError{err}
	}
	return nil
}

// remoteName is the name that -O gives a file: the last part of the path. It names nothing outside of the directory, no hidden file and no device, and other programs do not take it for a flag.
func remoteName(u *url.URL) string {
	name := path.Base(u.Path)
	name = strings.Map(func(r rune) rune {
		if steersTerminal(r) || r == '\n' || r == '\t' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimLeft(name, "."), ". ") // Windows drops those at the end
	stem, _, _ := strings.Cut(name, ".")
	switch {
	case strings.Trim(name, "_ ") == "":
		return "index.html"
	case name[0] == '-' || isDevice(stem):
		return "_" + name
	}
	return name
}

// isDevice reports whether Windows has a device of that name in each directory.
func isDevice(name string) bool {
	name = strings.ToUpper(strings.TrimRight(name, " "))
	if len(name) == 4 && '1' <= name[3] && name[3] <= '9' {
		name = name[:3] + "1"
	}
	return slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}, name)
}
