//go:build unix && !linux

package testserver

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
