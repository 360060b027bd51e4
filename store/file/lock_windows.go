package file

import (
	"os"
	"syscall"
	"unsafe"
)

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

// lock locks one byte of f, far beyond its end so that reads and writes go on, and reports whether it did. It does not wait.
func lock(f *os.File, exclusive bool) (bool, error) {
	const failImmediately, exclusiveLock, lockViolation = 1, 2, syscall.Errno(33)
	flags := uintptr(failImmediately)
	if exclusive {
		flags |= exclusiveLock
	}
	where := syscall.Overlapped{OffsetHigh: 1 << 20}
	ok, _, err := lockFileEx.Call(f.Fd(), flags, 0, 1, 0, uintptr(unsafe.Pointer(&where)))
	switch {
	case ok != 0:
		return true, nil
	case err == lockViolation || err == syscall.ERROR_IO_PENDING:
		return false, nil
	}
	return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
}
