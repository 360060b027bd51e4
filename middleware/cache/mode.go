package cache

import (
	"context"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// A Mode says how the cache treats one request, in the words of the Fetch standard's request cache mode.
type Mode uint8

const (
	// ModeDefault follows RFC 9111.
	ModeDefault Mode = iota

	// ModeNoStore neither reads the store nor writes it.
	ModeNoStore

	// ModeReload fetches anew and stores the answer.
	ModeReload

	// ModeNoCache validates a stored response before it is used, even a fresh one.
	ModeNoCache

	// ModeForceCache uses a stored response however stale it is, and fetches if there is none.
	ModeForceCache

	// ModeOnlyIfCached uses a stored response however stale it is, and answers 504 if there is none: for a program without a network.
	ModeOnlyIfCached

	// ModeReadOnly follows RFC 9111 but stores nothing. A request that changes something still makes what is stored for its URL invalid.
	ModeReadOnly
)

// String returns the mode's name as the Fetch standard writes it.
func (m Mode) String() string { return rfc9111.Mode(m).String() }

// choices is what the contexts around a request have chosen for it. It never changes: a context that chooses something has a copy.
type choices struct {
	mode       Mode
	moded      bool            // mode has been chosen; see WithMode
	off        bool            // see Disable
	noCollapse bool            // see WithoutCollapsing
	fresh      bool            // see Warm
	savingOf   time.Time       // when what Save is given was requested, if it is from an archive
	saving     context.Context // of a call of Save, which waits until the store has the response; nil for a request
	expiry     expiry.Strategy
	traces     []*Trace
}

// noChoices are the choices of most requests.
var noChoices choices

// chosen returns the choices in s, which must not be changed.
func chosen(s reqctx.Values) *choices {
	if c, ok := s.Cache.(*choices); ok {
		return c
	}
	return &noChoices
}

func choicesOf(ctx context.Context) *choices { return chosen(reqctx.From(ctx)) }

// choosing returns a context with a copy of ctx's choices, as change leaves it.
func choosing(ctx context.Context, change func(*choices)) context.Context {
	s := reqctx.From(ctx)
	mine := *chosen(s)
	change(&mine)
	s.Cache = &mine
	return reqctx.With(ctx, s)
}

// WithExpiry returns a context for requests whose answers stay fresh for as long as s says, rather than the cache's own strategy
// ([expiry.Precedence] asks both in its order). Where s is silent, the cache's own strategy counts.
// It decides when a response is fetched or validated: a hit on what is stored keeps its lifetime. A nil s undoes an outer one. It is never sent to the server.
func WithExpiry(ctx context.Context, s expiry.Strategy) context.Context {
	return choosing(ctx, func(c *choices) { c.expiry = s })
}

func expiryOf(ctx context.Context) expiry.Strategy { return choicesOf(ctx).expiry }

// WithMode returns a context for requests that the cache treats as m says. The mode of the innermost context counts, and before that of [Options.Mode]
// and [Cache.SetMode]: ModeDefault undoes an outer one. A number that is no mode is ModeDefault. It is never sent to the server.
func WithMode(ctx context.Context, m Mode) context.Context {
	if !m.valid() {
		m = ModeDefault
	}
	return choosing(ctx, func(c *choices) { c.mode, c.moded = m, true })
}

// Disable returns a context for requests that bypass the cache: the store is neither read nor written, nor is anything in it invalidated.
// The innermost of Disable and [Enable] counts. Requests with other contexts are not affected.
func Disable(ctx context.Context) context.Context {
	return choosing(ctx, func(c *choices) { c.off = true })
}

// Enable returns a context in which an outer [Disable] does not count.
func Enable(ctx context.Context) context.Context {
	return choosing(ctx, func(c *choices) { c.off = false })
}

// SetMode has the cache treat all requests as m says whose context does not say otherwise ([WithMode]), from the next one on. It is [Options.Mode], changed while
// the cache is in use: to go without the network for a while, say. A number that is no mode is ModeDefault.
func (c *Cache) SetMode(m Mode) {
	if !m.valid() {
		m = ModeDefault
	}
	c.mode.Store(uint32(m))
}

// Mode returns the mode of requests whose context has none, as [Options.Mode] or [Cache.SetMode] has said.
func (c *Cache) Mode() Mode { return Mode(c.mode.Load()) }

func (m Mode) valid() bool { return m <= ModeReadOnly }

// modeFor is the mode of a request that has chosen this.
func (c *Cache) modeFor(chosen *choices) rfc9111.Mode {
	switch {
	case chosen.off:
		return rfc9111.ModeDisabled
	case chosen.moded:
		return rfc9111.Mode(chosen.mode)
	}
	return rfc9111.Mode(c.mode.Load())
}
