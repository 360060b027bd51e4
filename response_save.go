package ply

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// CopyTo returns a function that writes the body of a successful response to dst, closes the body, and returns how many bytes it wrote.
// The function takes what a call returns:
//
//	n, err := ply.CopyTo(hash)(client.Get(ctx, "/image.iso"))
//
// A non-nil err is returned as it is. A status of 400 or more is a [*StatusError], as from [ErrorForStatus], and nothing is written;
// with [AnyStatus] it is no error. The body is streamed and has no limit unless [WithBodyLimit] sets one.
// A truncated body is an [io.ErrUnexpectedEOF], and one above the limit a [*BodyLimitError]; the bytes before that have been written.
func CopyTo(dst io.Writer) func(*http.Response, error) (int64, error) {
	return func(resp *http.Response, err error) (int64, error) {
		if resp, err = successful(resp, err); err != nil {
			return 0, err
		}
		return copyBody(dst, resp, 0)
	}
}

// Save returns a function that writes the body of a successful response to the file at path, and returns how many bytes the file has.
// The function takes what a call returns:
//
//	n, err := ply.Save("image.iso")(client.Get(ctx, "/image.iso"))
//
// The body is written to a temporary file in the same directory, which replaces the file at path when the body is complete. After an error or a panic,
// the temporary file is removed and the file at path is unchanged. The new file has the permissions of the one that it replaces.
// If path is a symbolic link to a file, that file is replaced and the link stays. A path that is neither, such as a directory,
// a named pipe or a device, is an error: open it and use [CopyTo].
//
// Only a status from 200 to 299 is a success. Any other is a [*StatusError], so that neither a 304 nor the page of a redirect becomes the file:
//
//	if ply.StatusIs(err, http.StatusNotModified) { // the file is up to date
//
// Other errors are those of [ErrorForStatus] and [CopyTo], and those of the file system.
func Save(path string) func(*http.Response, error) (int64, error) {
	return func(resp *http.Response, err error) (int64, error) {
		if resp, err = ErrorForStatus(resp, err); err != nil {
			return 0, err
		}
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			defer resp.Body.Close()
			return 0, statusError(resp)
		}
		return saveBody(path, resp)
	}
}

func saveBody(path string, resp *http.Response) (n int64, err error) {
	path, mode, err := saveTarget(path)
	if err != nil {
		resp.Body.Close()
		return 0, savingError(resp, err)
	}
	part := filepath.Join(filepath.Dir(path), partName())
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.or(0o666))
	if err != nil {
		resp.Body.Close()
		return 0, savingError(resp, err)
	}
	saved := false
	defer func() {
		if !saved { // the body may have panicked
			f.Close()
			os.Remove(part)
		}
	}()
	if n, err = copyBody(f, resp, 0); err != nil {
		return 0, err
	}
	if mode.known {
		err = f.Chmod(mode.FileMode) // the umask may have taken something away
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return 0, savingError(resp, err)
	}
	saved = true
	return n, nil
}

// partName returns a new name for a file whose body is not complete. It does not contain that of the file in the end, which may be as long as the file system allows.
func partName() string { return ".ply-" + rand.Text()[:16] + ".part" }

// isPartName reports whether name is one that partName could have returned: it names nothing outside its directory.
func isPartName(name string) bool {
	random, ok := strings.CutPrefix(name, ".ply-")
	random, isPart := strings.CutSuffix(random, ".part")
	return ok && isPart && len(random) == 16 && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// permissions are the permissions of the file that Save replaces.
type permissions struct {
	fs.FileMode
	known bool // there is such a file
}

func (p permissions) or(unknown fs.FileMode) fs.FileMode {
	if p.known {
		return p.FileMode
	}
	return unknown
}

// saveTarget returns the path of the file that path leads to, and its permissions if it exists. Anything but a regular file is an error.
func saveTarget(path string) (string, permissions, error) {
	if path == "" {
		return "", permissions{}, errors.New("the path is empty")
	}
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			info, err = os.Lstat(path)
		}
	} else if errors.Is(err, fs.ErrNotExist) {
		return path, permissions{}, nil
	}
	if err != nil {
		return "", permissions{}, err
	}
	if !info.Mode().IsRegular() {
		return "", permissions{}, &fs.PathError{Op: "replace", Path: path, Err: errors.New("not a regular file: open it and give it to CopyTo")}
	}
	return path, permissions{info.Mode().Perm(), true}, nil
}

func savingError(resp *http.Response, err error) error {
	return fmt.Errorf("ply: saving %s: %w", requestLineOf(resp), redactorFor(resp).Error(err))
}

// copyBody writes the body of resp to dst and closes it. The limit counts what comes before the body, too.
func copyBody(dst io.Writer, resp *http.Response, before int64) (int64, error) {
	defer resp.Body.Close()
	limit, length := bodyLimit(resp, -1), lengthOf(resp)
	if limit >= 0 && max(length, 0) > limit-before {
		return 0, bodyError(resp, &BodyLimitError{limit})
	}
	var src io.Reader = resp.Body
	if limit >= 0 {
		src = &limitedReader{r: src, limit: limit, left: limit - before}
	}
	n, err := io.Copy(dst, src)
	if err == nil && n < length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, fmt.Errorf("ply: copying the body of %s: %w", requestLineOf(resp), redactorFor(resp).Error(err))
	}
	return n, nil
}
