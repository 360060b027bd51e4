package ply

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
)

// CopyTo returns a function that writes the body of a response to dst, whatever its status, closes it, and says how many bytes dst got.
// It takes what a call returns:
//
//	n, err := ply.CopyTo(hash)(client.Get(ctx, "/image.iso"))
//
// An err given is returned as it is. The body is not held in memory and has no limit, unless [WithBodyLimit] sets one.
// A body that is cut short is an [io.ErrUnexpectedEOF], and one above the limit a [*BodyLimitError]; dst has the bytes in front of that.
func CopyTo(dst io.Writer) func(*http.Response, error) (int64, error) {
	return func(resp *http.Response, err error) (int64, error) {
		if resp, err = received(resp, err); err != nil {
			return 0, err
		}
		return copyBody(dst, resp)
	}
}

// Save returns a function that writes the body of a successful response to the file at path, and says how many bytes it has.
// It takes what a call returns:
//
//	n, err := ply.Save("image.iso")(client.Get(ctx, "/image.iso"))
//
// The file appears, in the place of one that was there, when all of the body has been written: until then it has another name in the
// same directory, path and an ending of its own, and after an error nothing remains of it. Errors are those of [RaiseForStatus] and [CopyTo],
// and those of the file system. Where path is a symbolic link, the link is replaced.
func Save(path string) func(*http.Response, error) (int64, error) {
	return func(resp *http.Response, err error) (int64, error) {
		if resp, err = RaiseForStatus(resp, err); err != nil {
			return 0, err
		}
		return saveBody(path, resp)
	}
}

func saveBody(path string, resp *http.Response) (n int64, err error) {
	part := path + "." + rand.Text()[:8] + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		resp.Body.Close()
		return 0, savingError(resp, err)
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	n, err = copyBody(f, resp)
	closeErr := f.Close()
	switch {
	case err != nil:
		return 0, err
	case closeErr != nil:
		return 0, savingError(resp, closeErr)
	}
	if err := os.Rename(part, path); err != nil {
		return 0, savingError(resp, err)
	}
	return n, nil
}

func savingError(resp *http.Response, err error) error {
	return fmt.Errorf("ply: saving %s: %w", nameOfExchange(resp), err)
}

// copyBody writes the body of resp to dst and closes it.
func copyBody(dst io.Writer, resp *http.Response) (int64, error) {
	defer resp.Body.Close()
	limit, length := bodyLimit(resp, -1), lengthOf(resp)
	if limit >= 0 && length > limit {
		return 0, bodyError(resp, &BodyLimitError{limit})
	}
	var src io.Reader = resp.Body
	if limit >= 0 {
		src = &limitedReader{r: src, limit: limit, left: limit}
	}
	n, err := io.Copy(dst, src)
	if err == nil && n < length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, fmt.Errorf("ply: copying the body of %s: %w", nameOfExchange(resp), err)
	}
	return n, nil
}

// limitedReader fails on the first byte past the limit, without giving it out.
type limitedReader struct {
	r           io.Reader
	limit, left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	// One byte more than is left shows whether there is one.
	n, err := l.r.Read(p[:within(len(p), l.left, 0)])
	if int64(n) > l.left {
		n, err = int(l.left), &BodyLimitError{l.limit}
	}
	l.left -= int64(n)
	return n, err
}
