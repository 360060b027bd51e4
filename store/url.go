package store

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/plyhttp/ply/internal/parseerror"
)

// A Closer is a [Store] that must be closed in the end, by the program that opened it and after the cache that uses it.
type Closer interface {
	Store

	// Close lets go of what the store holds: files, connections, goroutines. Calling it again does nothing.
	Close() error
}

// An Opener opens the store that u names, for [OpenURL].
//
//   - The scheme of u is one of those that it was registered for. u is its own to change.
//   - What the query says beyond what the store knows is an error, so that a misspelled option is not passed over.
//   - It need not reach a server: a program starts while its store is away.
//   - An error quotes nothing of u that may be a password.
//   - It is safe for concurrent use, and returns soon after ctx is done. The store that it returns outlives ctx.
type Opener func(ctx context.Context, u *url.URL) (Closer, error)

// imports says which package registers a scheme, for the error about one that is not registered.
var imports = map[string]string{
	"memory":          "middleware/cache",
	"file":            "store/file",
	"sqlite":          "store/sqlite",
	"redis":           "store/redis",
	"rediss":          "store/redis",
	"unix":            "store/redis",
	"redis+cluster":   "store/redis",
	"rediss+cluster":  "store/redis",
	"redis+sentinel":  "store/redis",
	"rediss+sentinel": "store/redis",
	"postgres":        "store/postgres",
	"postgresql":      "store/postgres",
	"memcached":       "store/memcached",
	"s3":              "store/s3",
	"dynamodb":        "store/dynamodb",
	"mongodb":         "store/mongodb",
	"mongodb+srv":     "store/mongodb",
	"nats":            "store/nats",
	"tls":             "store/nats",
}

var openers struct {
	sync.RWMutex
	byScheme map[string]Opener
}

// Register has [OpenURL] use open for URLs with one of the schemes, in lower case. Packages of stores call it when they are imported.
// It panics if there are no schemes, if open is nil, or if a scheme is registered already.
func Register(open Opener, schemes ...string) {
	if open == nil || len(schemes) == 0 {
		panic("store: Register needs an Opener and a scheme")
	}
	openers.Lock()
	defer openers.Unlock()
	for _, scheme := range schemes {
		if scheme == "" || scheme != strings.ToLower(scheme) {
			panic(fmt.Sprintf("store: Register of the scheme %q: it must be in lower case", scheme))
		}
		if _, ok := openers.byScheme[scheme]; ok {
			panic(fmt.Sprintf("store: Register of the scheme %q: it is registered already", scheme))
		}
		if openers.byScheme == nil {
			openers.byScheme = map[string]Opener{}
		}
		openers.byScheme[scheme] = open
	}
}

// Schemes returns the schemes that [OpenURL] knows, sorted.
func Schemes() []string {
	openers.RLock()
	defer openers.RUnlock()
	return slices.Sorted(maps.Keys(openers.byScheme))
}

// OpenURL opens the store that a URL names, so that a program can have its store in its configuration.
// The package of the store must be imported, which registers the scheme:
//
//	import _ "github.com/plyhttp/ply/store/redis"
//
//	s, err := store.OpenURL(ctx, "redis://cache.internal:6379")
//
// Each store's package documents its URLs. Sizes are written like 512MiB, durations like 30s, and yes and no as true and false.
// The caller closes the store. ctx bounds the opening, not the life of the store. OpenURL is safe for concurrent use.
// The error for a scheme that is not registered names the import that is missing. No error quotes a password.
func OpenURL(ctx context.Context, rawURL string) (Closer, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("store: the URL cannot be parsed: %s", parseerror.Reason(err, "REDACTED"))
	}
	openers.RLock()
	open := openers.byScheme[u.Scheme]
	openers.RUnlock()
	if open != nil {
		return open(ctx, u)
	}
	switch path, known := imports[u.Scheme]; {
	case known:
		return nil, fmt.Errorf("store: nothing is registered for %s URLs: import _ %q", u.Scheme, "github.com/plyhttp/ply/"+path)
	case u.Scheme == "":
		return nil, fmt.Errorf("store: the URL has no scheme: begin it with one of %s", schemesInWords())
	default:
		return nil, fmt.Errorf("store: nothing is registered for %s URLs: known are %s", u.Scheme, schemesInWords())
	}
}

// schemesInWords lists the schemes that are registered, or, if none is, those that this module's packages have.
func schemesInWords() string {
	schemes := Schemes()
	if len(schemes) == 0 {
		schemes = slices.Sorted(maps.Keys(imports))
	}
	return strings.Join(schemes, ", ")
}
