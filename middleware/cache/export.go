package cache

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/transfer"
	"github.com/plyhttp/ply/store"
)

// A MoveReport says what [Cache.Export], [Cache.Import] or [Copy] has moved, and what it has left.
type MoveReport struct {
	Entries int          // that were moved
	Bytes   int64        // of their bodies
	Skipped map[Skip]int // how many were left, by reason; nil if none were
}

// Skip is the reason for which an entry was not moved.
type Skip string

// The reasons.
const (
	SkipNotWanted   Skip = "not wanted"                                     // the function of ExportFunc was false
	SkipUnnamed     Skip = "its connection has no name outside the process" // see NamedConnection
	SkipUnfit       Skip = "a field of it is one that no store takes"
	SkipBodyLost    Skip = "its body is lost"
	SkipNewer       Skip = "one that is as new is stored"
	SkipInvalidated Skip = "it has been invalidated here"
	SkipTooLarge    Skip = "it is too large" // for Options.MaxEntryBytes, or for the store
	SkipSecret      Skip = "it varies on credentials, which are hashed with another secret here"
)

func (m *MoveReport) skip(why Skip) {
	if m.Skipped == nil {
		m.Skipped = make(map[Skip]int)
	}
	m.Skipped[why]++
}

func (m *MoveReport) moved(size int64) {
	m.Entries++
	m.Bytes += size
}

// Export writes everything that is stored to w, for [Cache.Import]: each variant with its header, its body, its times and what invalidates it.
// docs/moving.md describes the stream. An export may be made while the cache is in use: each entry is as it was at one moment, and w may be slow.
// Memory is needed for a few records of the store and a piece of a body.
//
// The stream holds what a byte store holds, in the same form: keys and principals as hashes, URLs without the values of their queries, bodies and headers in clear,
// and the secret of the hashes of credentials, unless it is [Options.VaryHashKey]. So treat it like the store itself.
// Entries whose key names a connection that only this process knows are left out; see [NamedConnection].
//
// The error says that w or the store has failed; the report counts what had been written by then. A store that cannot list what it holds is an error. Export does not close w.
func (c *Cache) Export(ctx context.Context, w io.Writer) (MoveReport, error) {
	return c.ExportFunc(ctx, w, func(*Entry) bool { return true })
}

// ExportFunc is [Cache.Export] of the entries for which wanted is true. It is called on this goroutine, and may call the cache.
func (c *Cache) ExportFunc(ctx context.Context, w io.Writer, wanted func(*Entry) bool) (MoveReport, error) {
	var report MoveReport
	if wanted == nil {
		return report, errors.New("cache: export: the function is nil: give one, or use Export")
	}
	h, err := c.transferHeader(ctx)
	if err != nil {
		return report, wrapped("export", err)
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	out, err := transfer.NewWriter(buffered, h)
	if err != nil {
		return report, wrapped("export", err)
	}
	err = c.eachForeign(ctx, &report, wanted, func(f *foreign) error {
		err := out.Entry(f.hash, f.encoded, f.size, f.body)
		switch {
		case err == nil:
			report.moved(f.size)
		case transfer.BodyError(err) != nil && ctx.Err() == nil:
			report.skip(SkipBodyLost)
			return nil
		}
		return err
	})
	if err == nil {
		err = out.Close()
	}
	if err == nil {
		err = buffered.Flush()
	}
	return report, wrapped("export", err)
}

// foreign is an entry on its way from one cache to another.
type foreign struct {
	hash    [32]byte // of its key
	encoded []byte   // the entry without its body
	size    int64    // of the body
	body    io.Reader
}

// transferHeader says what the cache's entries mean.
func (c *Cache) transferHeader(ctx context.Context) (h transfer.Header, err error) {
	h = transfer.Header{Shared: c.policy.Shared, OneIdentity: c.policy.OneIdentity, Made: time.Now(), Keys: fingerprintOf(c.key)}
	key, given, err := c.knownHashKey(ctx)
	if err != nil {
		return h, err
	}
	if h.Check = transfer.CheckOf(key); key != nil && !given {
		h.Secret = *key
	}
	return h, nil
}

// knownHashKey returns the key of the hashes of credentials, or nil, and whether the user has given it.
func (c *Cache) knownHashKey(ctx context.Context) (key *stored.HashKey, given bool, err error) {
	if c.durable != nil {
		return c.durable.KnownHashKey(ctx)
	}
	return c.hashKey(), c.hashKeys.Given(), nil
}

// eachForeign calls f with each stored entry that is wanted and can leave the process. An error of f ends it.
func (c *Cache) eachForeign(ctx context.Context, report *MoveReport, wanted func(*Entry) bool, f func(*foreign) error) error {
	var failed error
	err := c.store.Each(ctx, nil, func(key string, set *stored.Variants, _ stored.Updater) bool {
		for _, e := range set.Entries {
			if !wanted(c.shown(key, e)) {
				report.skip(SkipNotWanted)
			} else if failed = c.exportEntry(ctx, key, e, report, f); failed != nil {
				return false
			}
			if failed = ctx.Err(); failed != nil {
				return false
			}
		}
		return true
	})
	if failed != nil {
		return failed
	}
	c.fault(ctx, "export", err)
	return err
}

func (c *Cache) exportEntry(ctx context.Context, key string, e *stored.Entry, report *MoveReport, f func(*foreign) error) error {
	if e.Unnamed {
		report.skip(SkipUnnamed)
		return nil
	}
	encoded, err := durable.EncodeEntry(nil, e)
	switch {
	case errors.Is(err, store.ErrTooLarge):
		report.skip(SkipTooLarge)
		return nil
	case err != nil:
		report.skip(SkipUnfit)
		return nil
	}
	body, err := c.bodyToMove(ctx, e)
	if err != nil {
		if !durable.Missing(err) {
			return err
		}
		report.skip(SkipBodyLost)
		return nil
	}
	defer body.Close()
	hash := c.keyHash(key)
	if e.RecordKey() != nil {
		hash = e.RecordKey().Hash
	}
	return f(&foreign{hash: hash, encoded: encoded, size: e.Body.Size(), body: body})
}

// bodyToMove opens the body of an entry. A small one is read at once, so that what is lost is known before anything is written.
func (c *Cache) bodyToMove(ctx context.Context, e *stored.Entry) (io.ReadCloser, error) {
	if e.Body.InMemory() {
		return io.NopCloser(bytes.NewReader(e.Body.Bytes)), nil
	}
	ready, err := c.durable.WithBody(ctx, e, 0)
	if err != nil && !durable.Missing(err) && ctx.Err() == nil {
		ready, err = c.durable.WithBody(ctx, e, 0) // the fault may have passed
	}
	if err != nil {
		return nil, err
	}
	return ready.Content((&http.Request{}).WithContext(ctx)), nil
}

// fingerprintOf tells strategies apart by the keys that they make of some requests. Two that differ only for other requests have one fingerprint.
func fingerprintOf(s keying.Strategy) (print [16]byte) {
	sum := sha256.New()
	for _, r := range fingerprintRequests() {
		key, failed := keyOrError(s, r)
		sum.Write(binary.AppendUvarint(nil, uint64(len(key))))
		sum.Write(key)
		fmt.Fprint(sum, failed)
	}
	copy(print[:], sum.Sum(nil))
	return print
}

// keyOrError returns the key of a request, and whether there is none. A strategy of the user's may panic at what its program never sends.
func keyOrError(s keying.Strategy, r *http.Request) (key []byte, failed bool) {
	defer func() {
		if recover() != nil {
			key, failed = nil, true
		}
	}()
	key, err := s.AppendKey(nil, r)
	return key, err != nil
}

// fingerprintRequests differ in what strategies look at.
func fingerprintRequests() (all []*http.Request) {
	add := func(method, url, body string, fields ...string) {
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			return
		}
		if body == "" {
			r.Body, r.GetBody = nil, nil
		}
		for i := 0; i+1 < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		all = append(all, r)
	}
	add("GET", "http://www.example.com/", "")
	add("GET", "https://example.com:443/A/../b%61?b=2&a=1&utm_source=x&b=1&_=3&empty=&session=4#f", "")
	add("GET", "https://example.com/?a=1&b=2&api_key=k", "", "Authorization", "Bearer a", "Cookie", "session=b; theme=dark", "X-Api-Key", "c")
	add("HEAD", "https://example.com/", "", "Accept", "text/html", "Accept-Language", "de", "Accept-Encoding", "gzip", "Origin", "https://a.example", "User-Agent", "u")
	add("GET", "https://example.com/", "", "X-Tenant", "t", "X-Tenant-Id", "t", "X-User", "u", "X-User-Id", "u", "X-Forwarded-For", "192.0.2.1", "X-Request-Id", "i", "Traceparent", "p")
	add("POST", "https://example.com/graphql", `{"query":"query A($b: Int) { a(b: $b) }","variables":{"b":1},"operationName":"A"}`, "Content-Type", "application/json")
	add("QUERY", "https://example.com/search", `{"b": [1.0, 2], "a": "x"}`, "Content-Type", "application/json")
	add("POST", "https://example.com/form", "b=2&a=1&b=1", "Content-Type", "application/x-www-form-urlencoded")
	return all
}
