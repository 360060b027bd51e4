package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

// defaultStore names the cache that the other commands use unless --cache says otherwise.
const defaultStore = "default"

func newCacheCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look into a cache, clean it, move it, check it",
		Long: `ply cache works on the store of a cache, its own or that of a program, also while
other processes use it. STORE is ` + storeNames + `,
or "default" for the cache that ply get uses.

WHAT chooses entries: a whole URL (https://api.example.com/users?page=2), a pattern
(api.example.com/users/** for a path, */logo.png for any host, ~\.png$ for a regular
expression), or the beginning of a key as ls --long shows it, of eight digits or more.

A store holds keys and principals as hashes, and no values of a query: they are
shown as REDACTED. Bodies and most header fields are there in clear.`,
		Example: `  ply cache ls default                                  what is stored
  ply cache show default https://api.example.com/users  one response, and how fresh it is
  ply cache rm sqlite:cache.db 'cdn.example.com/**'     remove some, after a question
  ply cache copy ./cache redis://localhost:6379         move it`,
		Args: noSuchSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newCacheLsCommand(e), newCacheShowCommand(e), newCacheRmCommand(e), newCacheClearCommand(e), newCacheStatsCommand(e),
		newCacheExportCommand(e), newCacheImportCommand(e), newCacheCopyCommand(e), newCacheVerifyCommand(e),
	)
	return cmd
}

// noSuchSubcommand refuses what is no command below cmd.
func noSuchSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageErrorf("there is no command %q in %q", args[0], cmd.CommandPath())
}

// takesArgs is the rule for commands with between least and most arguments, which usage names; a negative most is no bound.
func takesArgs(least, most int, usage string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usageErrorf("%s takes %s", cmd.CommandPath(), usage)
		}
		return nil
	}
}

// cacheFlags say what the entries of a store mean, which the store itself does not: what the Options of the program's cache say.
type cacheFlags struct {
	shared, oneIdentity bool
	key                 string
	encryptionKey       string
}

func (f *cacheFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.shared, "shared", false, "the store is of a shared cache (cache.Options.Shared)")
	flags.StringVar(&f.key, "key", "", "the key strategy of its program: default or single-user (default: that of its kind of cache)")
	flags.BoolVar(&f.oneIdentity, "one-identity-below", false, "its program sets cache.Options.OneIdentityBelow")
	flags.StringVar(&f.encryptionKey, "encryption-key-file", "", "file with the key of an encrypted store, 64 hexadecimal digits a line")
	complete(cmd, "key", "default", "single-user")
}

func (f *cacheFlags) options() (o cache.Options, err error) {
	o = cache.Options{Shared: f.shared, OneIdentityBelow: f.oneIdentity, StoreTimeout: storeTimeout}
	switch f.key {
	case "":
	case "default":
		o.Key = keying.Default()
	case "single-user":
		o.Key = keying.SingleUser()
	default:
		return o, usageErrorf("--key is %q: give default or single-user", f.key)
	}
	return o, nil
}

// An openCache is a cache over a store that a command works on.
type openCache struct {
	*cache.Cache
	raw    store.Closer // as it was opened, still encrypted
	client *ply.Client  // in whose chain the cache stands, so that it knows the connection that its keys name

	mu    sync.Mutex
	fault error // the first that the store had
}

// open opens the store that name stands for. With create false, one that is not there is an error rather than made. The caller closes it.
func (f *cacheFlags) open(ctx context.Context, e *env, name string, create bool) (_ *openCache, err error) {
	if name == defaultStore {
		name = e.getenv("PLY_CACHE")
	}
	if name == noStore || name == "memory" {
		return nil, usageErrorf("there is nothing in the store %q: name a directory or a URL", name)
	}
	if !create {
		if err := exists(name); err != nil {
			return nil, err
		}
	}
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	c := &openCache{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.raw, err = openStore(ctx, name); err != nil {
		return nil, fmt.Errorf("the store cannot be opened: %w", err)
	}
	if o.Store, err = f.decrypted(c.raw); err != nil {
		return nil, err
	}
	o.Trace = &cache.Trace{Fault: func(_ string, err error) { c.note(err) }}
	if c.Cache, err = cache.New(o); err != nil {
		return nil, err
	}
	c.client, err = ply.New(ply.Options{TrustEnv: true, Use: []ply.Middleware{c.Middleware}})
	return c, err
}

// decrypted returns the store behind the encryption, if there is one.
func (f *cacheFlags) decrypted(s store.Store) (store.Store, error) {
	if f.encryptionKey == "" {
		return s, nil
	}
	text, err := os.ReadFile(f.encryptionKey)
	if err != nil {
		return nil, err
	}
	var keys []store.EncryptionKey
	for line := range strings.FieldsSeq(string(text)) {
		key, err := store.ParseEncryptionKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.encryptionKey, err)
		}
		keys = append(keys, key)
	}
	return store.Encrypted(s, keys...)
}

// exists returns an error for a store on this machine that is not there.
func exists(name string) error {
	path := name
	if scheme, rest, isURL := strings.Cut(name, ":"); isURL && (scheme == "file" || scheme == "sqlite") {
		if u, err := url.Parse(name); err == nil {
			path = u.Path + u.Opaque
		} else {
			path = rest
		}
	} else if isURL && len(scheme) > 1 {
		return nil // on a server
	}
	if path == "" {
		base, err := os.UserCacheDir() // file.UserCacheDir would make it
		if err != nil {
			return err
		}
		path = filepath.Join(base, "ply")
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no store at %s", path)
	}
	return nil
}

func (c *openCache) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil {
		c.fault = err
	}
}

// failed returns the first error of the store, for what has none of its own to return, such as Entries; or that of ctx.
func (c *openCache) failed(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.fault, errors.ErrUnsupported) {
		return fmt.Errorf("the store cannot list what it holds: %w", c.fault)
	}
	return c.fault
}

// close closes the client, the cache and the store, in this order.
func (c *openCache) close() error {
	var errs []error
	if c.client != nil {
		errs = append(errs, c.client.Close())
	}
	if c.Cache != nil {
		errs = append(errs, c.Cache.Close())
	}
	if c.raw != nil {
		errs = append(errs, c.raw.Close())
	}
	return errors.Join(errs...)
}

// onStore runs a command on the store that its first argument names, which must be there.
func (f *cacheFlags) onStore(e *env, run func(cmd *cobra.Command, c *openCache, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		c, err := f.open(cmd.Context(), e, args[0], false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.close()) }()
		return run(cmd, c, args[1:])
	}
}
