package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// secret returns the secret that a flag names: env:NAME, file:PATH, or ask for a prompt on the terminal. The secret itself is refused,
// for other users of the machine see the arguments of a process, and shells keep them.
func (e *env) secret(ctx context.Context, flag, source string) (string, error) {
	kind, name, _ := strings.Cut(source, ":")
	secret := ""
	switch {
	case kind == "env":
		secret = e.getenv(name)
	case kind == "file":
		data, err := os.ReadFile(name)
		if err != nil {
			return "", usageErrorf("%s cannot be read: %w", flag, err)
		}
		secret = strings.TrimRight(string(data), "\r\n")
	case source == "ask":
		in, ok := e.stdin.(*os.File)
		if !ok || !term.IsTerminal(int(in.Fd())) {
			return "", usageErrorf("%s cannot be asked for without a terminal: give env:NAME or file:PATH", flag)
		}
		fmt.Fprintf(e.stderr, "%s: ", strings.TrimLeft(flag, "-"))
		data, err := readPassword(ctx, int(in.Fd()))
		fmt.Fprintln(e.stderr)
		if err != nil {
			return "", fmt.Errorf("%s cannot be asked for: %w", flag, err)
		}
		secret = string(data)
	default:
		return "", usageErrorf("%s takes no secret on the command line, where others can see it: give %s", flag, secretSources)
	}
	if secret == "" {
		return "", usageErrorf("%s is empty: %s has nothing", flag, source)
	}
	if strings.ContainsFunc(secret, unicode.IsControl) { // RFC 7617 §2 for passwords, RFC 6750 §2.1 for tokens
		return "", usageErrorf("%s has more than one line, or a control character: %s must have the secret alone", flag, source)
	}
	return secret, nil
}

// readPassword reads a line from the terminal, which does not show it. If ctx ends first, the terminal is left as it was; the goroutine that waits for the line ends with the process.
func readPassword(ctx context.Context, terminal int) ([]byte, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, err
	}
	type typed struct {
		line []byte
		err  error
	}
	read := make(chan typed, 1)
	go func() {
		line, err := term.ReadPassword(terminal)
		read <- typed{line, err}
	}()
	select {
	case t := <-read:
		return t.line, t.err
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
}
