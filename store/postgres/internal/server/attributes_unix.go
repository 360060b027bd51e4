//go:build unix && !linux

package server

import "syscall"

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
