//go:build unix && !linux

package s3_test

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
