// Command server is the S3 server that the tests of store/s3 run: the gateway of github.com/versity/versitygw over a directory.
// It is in a module of its own, so that its requirements are none of those who use the store.
//
//	server ADDRESS DIRECTORY ACCESS-KEY SECRET-KEY
//
// Buckets are the directories in DIRECTORY. It has what the tests need of the gateway, and builds in a third of the time of the whole.
package main

import (
	"fmt"
	"os"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

const region = "us-east-1"

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: server ADDRESS DIRECTORY ACCESS-KEY SECRET-KEY")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], middlewares.RootUserConfig{Access: os.Args[3], Secret: os.Args[4]}); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// serve returns when the server has failed.
func serve(address, dir string, root middlewares.RootUserConfig) error {
	// With ETags beside the files, the gateway's other way, it loses updates.
	if err := (meta.XattrMeta{}).Test(dir); err != nil {
		return fmt.Errorf("%s needs a file system with attributes of users: set TMPDIR to a directory that has one: %w", dir, err)
	}
	files, err := posix.New(dir, meta.XattrMeta{}, posix.PosixOpts{})
	if err != nil {
		return err
	}
	users, err := auth.New(&auth.Opts{RootAccount: auth.Account{Access: root.Access, Secret: root.Secret, Role: auth.RoleAdmin}})
	if err != nil {
		return err
	}
	server, err := s3api.New(files, root, region, users, nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithConcurrencyLimiter(10_000, 10_000))
	if err != nil {
		return err
	}
	return server.ServeMultiPort([]string{address})
}
