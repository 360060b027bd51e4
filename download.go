package ply

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/internal/drain"
	"github.com/plyhttp/ply/internal/field"
)

// downloadOverlap is how many bytes of the part are requested again, to compare them: a file whose last blocks a loss of power has emptied is noticed.
const downloadOverlap = 4 << 10

// downloadAttempts bounds how often a Download begins anew. One that is alone does so once: without a part no response can be at odds with it.
// The others are for Downloads to the same path at the same time, each of which may remove what another one has begun.
const downloadAttempts = 4

// A DownloadResult says what [Client.Download] did.
type DownloadResult struct {
	Bytes    int64          // of the file
	Resumed  int64          // of these, what an earlier Download had left; zero means that all came anew
	Response *http.Response // the last one, for its status and header; its body is closed. Nil if there was none
}

// Download gets the URL into the file at path, and goes on where an earlier Download of the same URL to the same path broke off, also one of a process that was killed.
//
//	got, err := client.Download(ctx, "image.iso", "https://example.com/image.iso")
//
// The body is written to a hidden file in the directory of path, which replaces the file at path when the body is complete, as [Save] does it. If it breaks off and the response has
// a strong validator (RFC 9110 §8.8), this file stays, and so does path+".download", which says what it is a part of. The next Download requests the rest
// with Range and If-Range (RFC 9110 §14.2, §13.1.5); if the content has changed since then, the server sends the whole, and the part is dropped. Without a strong validator
// nothing stays, and each Download begins anew. Removing the two files does so, too. A file at path+".download" that no Download wrote is left alone, and no part is kept then.
//
// The same URL is one that is the same with all that [PathValue], [Query] and the client's defaults add to it. The limit of [WithBodyLimit] is one of the file,
// in however many calls it comes; above it, nothing stays.
//
// The request asks for no content coding, so that the bytes of the file are those that the server counts. The functions of [DownloadProgress] count from the start of the file.
// Two Downloads to one path at the same time, in two processes even, do not damage the file.
//
// Errors are those of [Client.Get] and [Save]. The result is valid beside an error, too. A part that a process wrote before a loss of power may lack its last blocks;
// Download compares the last 4 KiB with what the server sends, and begins anew if they differ.
func (c *Client) Download(ctx context.Context, path, url string, opts ...RequestOption) (DownloadResult, error) {
	target, mode, err := saveTarget(path)
	if err != nil {
		return DownloadResult{}, fmt.Errorf("ply: downloading: %w", err)
	}
	d := &download{path: target, mode: mode}
	for range downloadAttempts {
		got, err := c.downloadOnce(ctx, d, url, opts)
		if !errors.Is(err, errPartUseless) {
			return got, err
		}
		d.anew = true
	}
	return DownloadResult{}, fmt.Errorf("ply: downloading to %s: others replace its part again and again", target)
}

// errPartUseless ends an attempt to continue a part that the server's answer does not fit.
var errPartUseless = errors.New("ply: the rest does not fit the part")

// A download is what one call of Download knows.
type download struct {
	path string // of the file in the end
	mode permissions

	useless string // the name of the part that an attempt could not continue
	anew    bool   // use no part any more
}

// partState is what stays beside a part, as JSON: which response it is the beginning of.
type partState struct {
	URL       string // SHA-256 of the URL with all its parameters, which may hold secrets
	Validator string // for If-Range
	Length    int64  // of the whole, or -1
	Part      string // the name of the file with the bytes, in the same directory
}

func (d *download) statePath() string { return d.path + ".download" }

func (d *download) partPath(name string) string { return filepath.Join(filepath.Dir(d.path), name) }

// downloadOnce sends one request, for the rest if there is a part, and writes what comes.
func (c *Client) downloadOnce(ctx context.Context, d *download, url string, opts []RequestOption) (DownloadResult, error) {
	var state partState
	var size, first int64
	var sum string
	resume := Edit(func(req *http.Request) error { // before the caller's own edits, which may sign the request
		whole, err := c.completeURL(req)
		if err != nil {
			return err
		}
		identity := sha256.Sum256([]byte(whole.String()))
		sum = hex.EncodeToString(identity[:])
		state, size = d.left(sum)
		d.useless = state.Part
		if first = max(size-downloadOverlap, 0); size > 0 {
			req.Header.Set("Range", "bytes="+strconv.FormatInt(first, 10)+"-")
			req.Header.Set("If-Range", state.Validator)
		}
		return nil
	})
	opts = slices.Concat([]RequestOption{resume}, opts, []RequestOption{SetHeader("Accept-Encoding", "identity"),
		{func(d *draft) error { d.settings.progressFrom = &first; return nil }}})
	resp, err := c.send(ctx, http.MethodGet, url, opts)
	if _, err = ErrorForStatus(resp, err); err != nil {
		if size > 0 && StatusIs(err, http.StatusRequestedRangeNotSatisfiable) {
			err = errPartUseless
		}
		return DownloadResult{Response: resp}, err
	}
	switch {
	case resp.StatusCode == http.StatusPartialContent && size > 0:
		whole, ok := state.continuedBy(resp, first)
		if !ok {
			drain.Response(resp)
			return DownloadResult{Response: resp}, errPartUseless
		}
		state.Length = whole
	case resp.StatusCode == http.StatusPartialContent || resp.StatusCode < 200 || resp.StatusCode > 299:
		defer resp.Body.Close()
		return DownloadResult{Response: resp}, statusError(resp)
	default:
		d.drop(state)
		state = partState{URL: sum, Validator: field.RangeValidator(resp.Header), Length: resp.ContentLength}
		first, size = 0, 0
	}
	got := DownloadResult{Resumed: size, Response: resp}
	got.Bytes, err = d.write(resp, state, first, size)
	return got, err
}

// errForeignState keeps a file that has the name of a state, and is none, from being replaced or removed.
var errForeignState = errors.New("ply: Download did not write this file")

// maxState is more than a state has: a larger file is another one.
const maxState = 8 << 10

// loadState reads the state of a part. One that a loss of power has damaged names no part. What cannot be read is not known to be a state.
func (d *download) loadState() (s partState, err error) {
	info, err := os.Lstat(d.statePath())
	switch {
	case err != nil:
		return partState{}, err
	case !info.Mode().IsRegular() || info.Size() > maxState:
		return partState{}, errForeignState
	}
	data, err := os.ReadFile(d.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return partState{}, err
	}
	if err != nil {
		return partState{}, errForeignState
	}
	switch err := json.Unmarshal(data, &s); {
	case err == nil && isPartName(s.Part):
		return s, nil
	case err != nil && isCutOffState(string(data)):
		return partState{}, nil
	}
	return partState{}, errForeignState
}

// isCutOffState reports whether data is the beginning of a state, or what a file system may leave of one.
func isCutOffState(data string) bool {
	const beginning = `{"URL":"`
	return strings.HasPrefix(data, beginning) || strings.HasPrefix(beginning, data) || strings.Trim(data, "\x00") == ""
}

// left returns what an earlier Download of this URL left, and how many bytes that has; zero means nothing that could be continued.
func (d *download) left(sum string) (partState, int64) {
	s, err := d.loadState()
	if err != nil || s.Part == "" {
		return partState{}, 0
	}
	if d.anew && s.Part != d.useless {
		return partState{}, 0 // another Download has begun meanwhile: its part is its own
	}
	info, err := os.Lstat(d.partPath(s.Part))
	if err != nil || !info.Mode().IsRegular() || d.anew || s.URL != sum || s.Validator == "" || s.Length >= 0 && info.Size() > s.Length {
		d.drop(s)
		return partState{}, 0
	}
	return s, info.Size()
}

// drop removes a part, and what says that it is there.
func (d *download) drop(s partState) {
	if s.Part != "" {
		d.removeState(s)
		os.Remove(d.partPath(s.Part))
	}
}

// removeState removes the state, unless it is that of another part by now, or no state.
func (d *download) removeState(s partState) {
	if now, err := d.loadState(); err == nil && (now.Part == s.Part || now.Part == "") {
		os.Remove(d.statePath())
	}
}

// found reports whether a later Download will find the part: not if another one that runs has saved a state of its own, or removed this one.
func (d *download) found(s partState) bool {
	now, err := d.loadState()
	return err == nil && now.Part == s.Part
}

// continuedBy reports whether resp, a 206, goes on at first with what the part is the beginning of, and how long the whole is. A server may send less
// than the rest (RFC 9110 §15.3.7), so the end of the body is the end of the content only if the length of the whole is known.
func (s partState) continuedBy(resp *http.Response, first int64) (whole int64, ok bool) {
	unit, span, _ := strings.Cut(resp.Header.Get("Content-Range"), " ")
	positions, complete, _ := strings.Cut(span, "/")
	from, _, _ := strings.Cut(positions, "-")
	if !strings.EqualFold(unit, "bytes") || from != strconv.FormatInt(first, 10) {
		return 0, false
	}
	whole = s.Length
	if complete != "*" {
		n, err := strconv.ParseInt(complete, 10, 64)
		if err != nil || s.Length >= 0 && n != s.Length {
			return 0, false
		}
		whole = n
	}
	// Some servers know ranges and no If-Range. A tag has to come with each part, a date need not be repeated (RFC 9110 §15.3.7).
	same := resp.Header.Get("Etag") == s.Validator
	if !strings.HasPrefix(s.Validator, `"`) {
		modified := resp.Header.Get("Last-Modified")
		same = modified == "" || modified == s.Validator
	}
	return whole, whole >= 0 && same
}

// write writes the body of resp behind the part of size bytes, of which those from first on come again, and makes the whole the file at d.path.
func (d *download) write(resp *http.Response, s partState, first, size int64) (n int64, err error) {
	f, err := d.openPart(&s, size)
	if err != nil {
		resp.Body.Close()
		if err == errPartUseless {
			return 0, err
		}
		return 0, savingError(resp, err)
	}
	done := false
	defer func() {
		if !done { // the body may have panicked
			f.Close()
			if !d.found(s) {
				os.Remove(f.Name())
			}
		}
	}()
	w := &overlapWriter{f: f, at: first, end: size, whole: s.Length}
	n, err = copyBody(w, resp, first)
	n += first
	if errors.Is(err, errPartUseless) {
		return n, errPartUseless
	}
	if isAny[*BodyLimitError](err) && s.Validator != "" {
		d.removeState(s) // nothing stays: to go on would lead beyond the limit again
	}
	if err == nil && s.Length >= 0 && n != s.Length {
		err = fmt.Errorf("ply: copying the body of %s: %w", requestLineOf(resp), io.ErrUnexpectedEOF)
	}
	if err != nil {
		return n, err
	}
	if err := d.finish(f); err == errPartUseless {
		return n, err
	} else if err != nil {
		return n, savingError(resp, err)
	}
	done = true
	if s.Validator != "" {
		d.removeState(s)
	}
	return n, nil
}

// openPart opens the part of size bytes that s names, or makes a new one. What says what a new part belongs to is on the disk before its first byte.
// The name of a part is never used again: bytes under one name are those of one representation, whichever process writes them.
func (d *download) openPart(s *partState, size int64) (*os.File, error) {
	if size > 0 {
		f, err := os.OpenFile(d.partPath(s.Part), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) { // another Download has finished with it
			err = errPartUseless
		}
		return f, err
	}
	s.Part = partName()
	if s.Validator != "" && d.saveState(*s) != nil {
		s.Validator = "" // it cannot be continued later: another file has the name of the state, or that is too long
	}
	return os.OpenFile(d.partPath(s.Part), os.O_RDWR|os.O_CREATE|os.O_EXCL, d.mode.or(0o666))
}

func (d *download) saveState(s partState) error {
	switch there, err := d.loadState(); {
	case errors.Is(err, errForeignState):
		return err
	case err == nil && there.Part == "":
		os.Remove(d.statePath())
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	// A Download that has begun since this one looked keeps its state, by which a later one finds its part.
	f, err := os.OpenFile(d.statePath(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(d.statePath())
	}
	return err
}

// finish closes the part and gives it the name of the file. Another Download that continued the same part may have done so already.
func (d *download) finish(f *os.File) error {
	mine, err := f.Stat()
	if err == nil && d.mode.known {
		err = f.Chmod(d.mode.FileMode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	err = os.Rename(f.Name(), d.path)
	if errors.Is(err, fs.ErrNotExist) {
		if there, statErr := os.Stat(d.path); statErr == nil && os.SameFile(mine, there) {
			return nil
		}
		return errPartUseless
	}
	return err
}

// An overlapWriter writes to a file from at on. Up to end it compares instead, with what the file has there. It writes nothing behind the whole, if its length is known.
type overlapWriter struct {
	f       *os.File
	at, end int64
	whole   int64 // or -1
}

func (w *overlapWriter) Write(p []byte) (int, error) {
	if w.whole >= 0 && int64(len(p)) > w.whole-w.at {
		return 0, errPartUseless
	}
	written := 0
	if known := min(w.end-w.at, int64(len(p))); known > 0 {
		have := make([]byte, known)
		if _, err := w.f.ReadAt(have, w.at); err != nil || !bytes.Equal(have, p[:known]) {
			return 0, errPartUseless
		}
		w.at += known
		written, p = int(known), p[known:]
	}
	n, err := w.f.WriteAt(p, w.at)
	w.at += int64(n)
	return written + n, err
}
