package cache

import (
	"cmp"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/memory"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// Cache is an HTTP cache (RFC 9111). Make one with [New] and mount it with [Cache.Middleware].
// One cache can stand in several chains; it is safe for concurrent use.
type Cache struct {
	store          entryStore
	memory         *memory.Store  // store, if it is one
	durable        *durable.Store // store, if it is one
	leases         *lease.Leases  // shared with other processes; nil for none
	key            keying.Strategy
	expiry         expiry.Strategy
	policy         rfc9111.Policy
	maxEntry       int64
	refreshTimeout time.Duration
	storeTimeout   time.Duration // for one call of a byte store, or for all of a lookup
	filter         func(*http.Request, *http.Response) bool
	filterBody     func(*http.Request, *http.Response, []byte) bool
	refreshBudget  func(host string) (refund func(), ok bool)
	tags           func(*http.Response) []string // see Options.Tags
	eventStreams   EventStreamMode
	filtersHits    bool // the user has conditions for what is served: Filter or Statuses
	trace          *Trace
	hashKeys       *durable.HashKeys

	byURI       bool // the key of a request without credentials is its target URI and anonymous
	anonymous   string
	wholeURI    bool                     // the strategy never takes two URIs for the same
	content     keying.Part              // the content of a request, for keys that have none
	keysContent bool                     // the strategy keys content itself
	keysCookies bool                     // requests with equal keys have the same cookies
	mutates     func(*http.Request) bool // see unsafe.go; nil if the strategy does not read GraphQL
	unsafe      func(*http.Request) bool // see Options.Unsafe

	noCollapse bool          // requests never share a fetch
	copyBudget stream.Budget // for bodies on their way to the store
	history    invalidation.History
	fetches    inflightFetches
	mounts     mounts
	ahead      aheadTries
	stats      counters
	said       said
	closed     atomic.Bool
	off        atomic.Bool
	mode       atomic.Uint32 // a Mode; see SetMode

	searches  atomic.Bool  // a response that does not vary on the whole query has been stored
	foundKeys *foundKeys   // over a byte store
	removals  atomic.Int64 // that go on, each from before its note in the history; see adopt
	imported  atomic.Bool  // memory may have responses under the hashes of their keys; see adopt
}

// New returns a cache. Close it when it is used no more. Its error is an [*OptionError], which says which option is wrong and what to give instead.
func New(o Options) (*Cache, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &Cache{key: o.Key, expiry: o.Expiry, maxEntry: o.MaxEntryBytes, refreshTimeout: o.RefreshTimeout}
	c.policy = rfc9111.Policy{
		Shared: o.Shared, Disconnected: o.MaxStaleDisconnected, OneIdentity: o.OneIdentityBelow,
		StaleWhileRevalidate: o.StaleWhileRevalidate, StaleIfError: o.StaleIfError,
	}
	c.tags, c.refreshBudget = o.Tags, o.RefreshBudget
	c.eventStreams, c.policy.EventStreams = o.EventStreams, o.EventStreams != EventStreamsNotStored
	c.filtersHits = o.Filter != nil || o.Statuses != nil
	c.policy.Methods, c.policy.Statuses = slices.Clone(o.Methods), slices.Clone(o.Statuses)
	c.policy.Targeted, c.policy.StrictCookie, c.policy.ReplayCookies = slices.Clone(o.TargetedFields), o.RefuseSetCookie, o.ReplayCookies
	c.filter, c.filterBody, c.trace, c.content = o.Filter, o.FilterBody, o.Trace, keying.Body(keying.BodyOptions{Format: keying.FormatRaw})
	if c.key == nil && o.Shared {
		c.key = keying.SingleUser()
	}
	if c.key == nil {
		c.key = keying.Default()
	}
	if keyed, ok := c.key.(interface{ KeysContent() bool }); ok {
		c.keysContent = keyed.KeysContent()
	}
	if keyed, ok := c.key.(interface{ KeysCookies() bool }); ok {
		c.keysCookies = keyed.KeysCookies()
	}
	c.anonymous, c.byURI = anonymousKeyOf(c.key)
	c.mutates, c.unsafe = mutationsOf(c.key), o.Unsafe
	c.wholeURI = c.byURI || keepsURI(c.key)
	if c.expiry == nil {
		c.expiry = expiry.Default()
	}
	if c.maxEntry == 0 {
		c.maxEntry = 8 << 20
	}
	if c.refreshTimeout == 0 {
		c.refreshTimeout = time.Minute
	}
	c.noCollapse, c.copyBudget.Limit = o.NoCollapse, cmp.Or(o.MaxInFlightBytes, 64<<20)
	c.storeTimeout = min(cmp.Or(o.StoreTimeout, 100*time.Millisecond), 24*time.Hour) // what is told again may take ten times as long
	c.SetMode(o.Mode)
	c.fetches.init()
	c.open(&o)
	return c, nil
}

// open sets what the responses are kept in.
func (c *Cache) open(o *Options) {
	switch s := o.Store.(type) {
	case nil:
		c.memory = memory.New(0, 0, nil)
	case *Memory:
		c.memory = s.lru
	default:
		backend := o.Store
		tiers, both := backend.(*tiered)
		if both {
			backend = tiers.Store
		}
		c.durable = durable.New(backend, c.storeTimeout, max(cmp.Or(o.RetainStale, 7*24*time.Hour), 0), o.Shared)
		c.durable.TagsOf, c.durable.Cookies = c.knownTags, o.ReplayCookies
		if both {
			c.durable.L1 = durable.NewL1(tiers.l1.lru, backend, cmp.Or(o.L1TTL, time.Second))
		}
		c.store, c.hashKeys = c.durable, &c.durable.HashKeys
		if o.Lease > 0 {
			c.leases = lease.New(c.durable, o.Lease, c.fetches.ctx.Done())
		}
		c.searches.Store(true) // another process may have stored one
		c.foundKeys = newFoundKeys()
	}
	if c.memory != nil {
		c.store, c.hashKeys = c.memory, &durable.HashKeys{}
		c.hashKeys.Known.Store(durable.NewHashKey())
	}
	if o.VaryHashKey != nil {
		c.hashKeys.Set(o.VaryHashKey)
	}
}

// hashKey is the key of the hashes of credentials, or nil if there is none yet.
func (c *Cache) hashKey() *stored.HashKey { return c.hashKeys.Known.Load() }

// Close ends the refreshes in the background and waits for them. Afterwards the cache passes requests on and does not touch its store any more.
// Callers that read an answer, or wait for one, get it; it is not stored.
// Close waits for what is on its way into a Store that is not a [Memory], as long as one call of it may take. It does not close the store.
// The error says that the store has not taken all invalidations, not even when Close tried them once more. Calls after the first do nothing and return nil.
func (c *Cache) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.fetches.close()
	c.leases.Close()
	if c.durable != nil {
		return c.durable.Close(c.storeTimeout)
	}
	return nil
}
