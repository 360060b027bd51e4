// Command terminal records a session of the command ply at a server of its own, and draws it as SVG: docs/images/terminal.svg.
//
//	go run ./tools/terminal > docs/images/terminal.svg
//
// What the picture shows was printed by the commands that it shows, with --color always.
//
//	session.go    the server and the commands
//	svg.go        what terminals understand, as SVG
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	steps, err := record(ctx, "127.0.0.1:8080")
	if err == nil {
		_, err = os.Stdout.WriteString(draw(steps))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "terminal:", err)
		os.Exit(1)
	}
}
