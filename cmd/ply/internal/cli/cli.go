package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/plyhttp/ply/redact"
)

// Main runs the command line of this process and returns its exit code. The first SIGINT or SIGTERM ends the command in order: what it has begun is closed,
// a partial download stays to be continued. A second one ends the process at once.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	ignoreBrokenPipe()
	log.SetOutput(io.Discard) // net/http quotes there what servers send out of turn
	return Run(ctx, os.Args[1:], Stdio{os.Stdin, os.Stdout, os.Stderr, os.Getenv})
}

// Run runs the command that args name, without the name of the program, and returns the exit code. It prints its error to s.Stderr.
func Run(ctx context.Context, args []string, s Stdio) int {
	e := newEnv(s)
	root := newRootCommand(e)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		e.say("%s interrupted", e.errStyle().red("ply:"))
		return exitInterrupted
	}
	if err == nil || isBrokenPipe(err) {
		return exitCode(nil)
	}
	e.report(err)
	return exitCode(err)
}

// errorText returns what is said of an error, without secrets: nothing for one of which all has been said.
func errorText(err error) string {
	var coded *codedError
	if errors.As(err, &coded) && coded.err == nil {
		return ""
	}
	return strings.TrimPrefix(redact.ErrorText(err), "ply: ")
}

// report prints an error once, without secrets and without what could steer a terminal.
func (e *env) report(err error) {
	text := errorText(err)
	if text == "" {
		return
	}
	fmt.Fprintf(e.stderr, "%s %s\n", e.errStyle().red("ply:"), printable(text))
	if exitCode(err) == exitUsage {
		fmt.Fprintln(e.stderr, `Run "ply help" or add --help to a command to see what it takes.`)
	}
}
