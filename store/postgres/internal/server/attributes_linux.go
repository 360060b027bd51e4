package server

import "syscall"

// attributes have the server die with the test binary, also if that is killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
