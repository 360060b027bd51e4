package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"

	"github.com/plyhttp/ply"
)

// The exit codes of all commands. They are part of the command line: scripts rely on them.
const (
	exitOK          = 0
	exitError       = 1   // anything that has no code of its own: a file that cannot be written, a store that cannot be opened
	exitUsage       = 2   // the command line is wrong; nothing was done
	exitNotCached   = 3   // with --offline: the cache has no answer
	exitStatus4xx   = 4   // the answer's status is 4xx
	exitStatus5xx   = 5   // the answer's status is 5xx
	exitNetwork     = 6   // no answer: DNS, connection, TLS, timeout, or a body that broke off
	exitCheck       = 7   // a check says no: explain --check, lint, cache verify
	exitInterrupted = 130 // SIGINT or SIGTERM
)

// ExitCodeHelp is the table of exit codes as --help shows it.
const ExitCodeHelp = `Exit codes:
  0    all is well
  1    an error without a code of its own
  2    the command line is wrong
  3    nothing is stored: --offline without an answer, cache show
  4    the status is 4xx
  5    the status is 5xx
  6    no answer, or a part of it: DNS, connection, TLS, timeout
  7    a check says no: explain --check, lint, cache verify
  130  interrupted`

// A codedError ends the program with a code of its own. A nil err says nothing on stderr, for what has been said already.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *codedError) Unwrap() error { return e.err }

// usageErrorf returns an error about the command line.
func usageErrorf(format string, args ...any) error {
	return &codedError{exitUsage, fmt.Errorf(format, args...)}
}

// exitCode returns the code for an error of a command.
func exitCode(err error) int {
	var coded *codedError
	var status *ply.StatusError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &status):
		if code := statusCode(status.StatusCode); code != exitOK {
			return code
		}
		return exitError // a redirect, a 304 or a part is no content of a file
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case isTimeout(err), errors.As(err, new(*url.Error)), errors.Is(err, io.ErrUnexpectedEOF):
		return exitNetwork
	}
	return exitError
}

// statusCode returns the exit code for the status of a response.
func statusCode(status int) int {
	switch {
	case status >= http.StatusInternalServerError:
		return exitStatus5xx
	case status >= http.StatusBadRequest:
		return exitStatus4xx
	}
	return exitOK
}

// isBrokenPipe reports whether the reader of the output has gone, as head does once it has its lines. A connection that the server has closed is another thing.
func isBrokenPipe(err error) bool {
	var output *fs.PathError
	return errors.As(err, &output) && errors.Is(output.Err, syscall.EPIPE)
}

// isFileError reports whether err came from a file rather than from a connection.
func isFileError(err error) bool {
	return errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError))
}

// isTimeout reports whether err says that time ran out.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
