package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// getFlags are the flags of ply get.
type getFlags struct {
	chainFlags
	header  []string
	verbose bool
}

func newGetCommand(e *env) *cobra.Command {
	f := &getFlags{}
	cmd := &cobra.Command{
		Use:   "get URL...",
		Short: "get URLs, from the cache if that may be",
		Example: `  ply get https://example.com            the body on stdout
  ply get -v https://example.com         and the record of the call on stderr
  ply get --offline https://example.com  what the cache has, however old`,
		Args: atLeastOneURL,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), e, args) },
	}
	f.add(cmd, e)
	cmd.Flags().StringArrayVarP(&f.header, "header", "H", nil, "a header field, as \"Name: value\"; may be given again")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show the record of the call as a waterfall on stderr")
	return cmd
}

func (f *getFlags) run(ctx context.Context, e *env, urls []string) (err error) {
	c, err := f.open(ctx, cache.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, u := range urls {
		if err := f.one(ctx, e, c, u); err != nil {
			return err
		}
	}
	return nil
}

func (f *getFlags) one(ctx context.Context, e *env, c *chain, url string) error {
	ctx = ply.WithCallInfo(ctx)
	resp, err := c.client.Get(ctx, url)
	if err == nil {
		_, err = io.Copy(e.stdout, resp.Body)
		resp.Body.Close()
	}
	if info, ok := ply.CallInfoFromContext(ctx); ok && f.verbose {
		fmt.Fprint(e.stderr, printable(info.String()))
	}
	if err != nil {
		return err
	}
	if f.offline && resp.StatusCode == http.StatusGatewayTimeout {
		return &codedError{exitNotCached, fmt.Errorf("the cache has no answer for %s", url)}
	}
	if code := statusCode(resp.StatusCode); code != exitOK {
		return &codedError{code, nil}
	}
	return nil
}
