// Package cli is the ply command: its commands, what they share, and its exit codes.
//
// A command is a function newXCommand(*env) *cobra.Command in a file of its own, and one line in root.go.
// It writes to env.stdout and env.stderr, never to os.Stdout, and returns an error instead of ending the program: exit.go makes the exit code of it.
//
//	cli.go       Main and Run: the program as a whole, signals
//	root.go      the root command, the flags of all commands, usage errors
//	env.go       the surroundings of a command: streams, terminal, colours, environment variables
//	exit.go      exit codes
//	terminal.go  what servers send, made harmless for a terminal
//	client.go    the flags of the chain, and the client made of them
//	stores.go    --cache: which stores there are and how they are named
//	sigpipe_*.go a closed pipe is an error of a write, not the end of the process
//	get*.go      ply get: the command, what is sent, what is written where, downloads with their bars
//	secret.go    secrets that flags name
//	har.go       --har: the file of what a tape.Recorder records
//	version.go   what --version shows
//	explain.go, explain_text.go   ply explain
//	lint.go      ply lint
//	samples.go   exchanges to look at: from an origin, an archive, a file
//	cache*.go    ply cache: the store and what its entries mean (cache.go), which entries (cache_select.go), and its commands
//	proxy*.go    ply proxy: flags and servers, what becomes of a request (proxy_handler.go), Max-Forwards (proxy_forwards.go)
//	replay.go, policy.go   ply replay, and the grammar of --policy
//	table.go, counter.go   tables, and progress where no end is known
package cli
