package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// failure is an error of SQLite.
type failure struct {
	code int32 // with its extension
	text string
}

func (e *failure) Error() string { return e.text }

// failed returns the error for a result code of a connection. db may be 0.
func failed(tls *libc.TLS, db uintptr, code int32) error {
	text := libc.GoString(sqlite3.Xsqlite3_errstr(tls, code))
	if db != 0 {
		if more := libc.GoString(sqlite3.Xsqlite3_errmsg(tls, db)); more != text {
			text += ": " + more
		}
	}
	return &failure{code, fmt.Sprintf("%s (%d)", text, code)}
}

// Result codes of SQLite, without their extensions.
const (
	codeError    = 1
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeCorrupt  = 11
	codeFull     = 13
	codeProtocol = 15
	codeNotADB   = 26
)

// Result codes with their extensions: the disk works, but a file is shorter than it was, or than it says. It was cut off in place.
const (
	codeShortRead = 10 | 2<<8  // of the database
	codeShmSize   = 10 | 19<<8 // of the shared memory
	codeCorruptFS = 10 | 33<<8 // the file system says so
	codeInPage    = 10 | 34<<8 // a page of the shared memory is there no more
)

// code returns SQLite's result code for an error without its extension, or 0.
func code(err error) int { return extendedCode(err) & 0xff }

func extendedCode(err error) int {
	var e *failure
	if errors.As(err, &e) {
		return int(e.code)
	}
	return 0
}

// busy reports whether another connection is in the way, and waiting helps.
func busy(err error) bool {
	switch code(err) {
	case codeBusy, codeLocked, codeProtocol:
		return true
	}
	return errors.Is(err, errInTheWay)
}

// errInTheWay stands for SQLITE_BUSY where SQLite reports no error: patiently tries again.
var errInTheWay = errors.New("another connection uses the file")

// damaged reports whether the file is not what it should be.
func damaged(err error) bool {
	switch code(err) {
	case codeCorrupt, codeNotADB:
		return true
	}
	switch extendedCode(err) {
	case codeShortRead, codeShmSize, codeCorruptFS, codeInPage:
		return true
	}
	return errors.Is(err, errSchema) || errors.Is(err, errIndexes)
}
