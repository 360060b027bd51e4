package inspect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/redact"
)

// cacheStats are those of the cache that pages show.
type cacheStats struct {
	Hits        int64 `json:"hits"`
	Stale       int64 `json:"stale"`
	Misses      int64 `json:"misses"`
	Revalidated int64 `json:"revalidated"`
	Bypassed    int64 `json:"bypassed"`
	Collapsed   int64 `json:"collapsed"`
	Errors      int64 `json:"errors"`
	Stored      int64 `json:"stored"`
	Invalidated int64 `json:"invalidated"`
	Evicted     int64 `json:"evicted"`
	Entries     int64 `json:"entries"`
	Bytes       int64 `json:"bytes"`
	StoreErrors int64 `json:"storeErrors"`
	StoreDown   bool  `json:"storeDown"`
}

func (in *Inspector) cacheStats() *cacheStats {
	if in.o.Cache == nil {
		return nil
	}
	s := in.o.Cache.Stats()
	return &cacheStats{s.Hits, s.Stale, s.Misses, s.Revalidated, s.Bypassed, s.Collapsed, s.Errors, s.Stored, s.Invalidated, s.Evicted, s.Entries, s.Bytes, s.StoreErrors, s.StoreDown}
}

// entryView is a stored response as pages show it.
type entryView struct {
	ID         string    `json:"id"`
	Key        string    `json:"key"`
	Parts      []pair    `json:"parts"`
	Method     string    `json:"method"`
	URL        string    `json:"url"`
	Status     int       `json:"status"`
	Size       int64     `json:"size"`
	Received   time.Time `json:"received"`
	Requested  time.Time `json:"requested"`
	Expires    time.Time `json:"expires"`
	LastUsed   time.Time `json:"lastUsed"`
	Fresh      bool      `json:"fresh"`
	AgeMs      float64   `json:"ageMs"`
	LifetimeMs float64   `json:"lifetimeMs"`
	LeftMs     float64   `json:"leftMs"`
	Freshness  float64   `json:"freshness"`
	Vary       []string  `json:"vary,omitempty"`
	Tags       []string  `json:"tags,omitempty"`
	Headers    []pair    `json:"headers"`
}

type entryList struct {
	Entries []entryView `json:"entries"`
	Next    string      `json:"next,omitempty"`
	Fault   string      `json:"fault,omitempty"` // why there may be more
	Now     time.Time   `json:"now"`
	Stats   *cacheStats `json:"stats"`
}

// idOf names an entry among the variants of its key.
func idOf(e *cache.Entry) string {
	hash := sha256.New()
	for _, p := range e.KeyParts() {
		hash.Write([]byte(p.Name + "\x00" + p.Value + "\x00"))
	}
	return e.Key() + "." + hex.EncodeToString(hash.Sum(nil)[:4])
}

// entryOf shows an entry: what it is, how fresh it is, and by what it is found, without secrets.
func (in *Inspector) entryOf(e *cache.Entry, now time.Time) entryView {
	r := in.o.Redactor
	header := e.Header()
	v := entryView{
		ID: idOf(e), Key: e.Key(), Method: cleanText(e.Method(), maxWord), URL: cleanText(r.URLText(e.URL()), maxURL), Status: e.StatusCode(), Size: e.Size(),
		Received: moment(e.Received()), Requested: moment(e.Requested()), Expires: moment(e.Expires()), LastUsed: moment(e.LastUsed()),
		Fresh: e.Fresh(now), AgeMs: ms(e.Age(now)), Headers: fields(r, header),
	}
	left := e.Expires().Sub(now)
	v.LeftMs, v.LifetimeMs = ms(left), ms(left+e.Age(now))
	if v.LifetimeMs > 0 {
		v.Freshness = min(1, max(0, v.LeftMs/v.LifetimeMs))
	}
	for _, p := range e.KeyParts() {
		value := p.Value
		switch p.Name {
		case "URI":
			value = r.URLText(e.URL())
		case "method", "key":
		default:
			v.Vary = append(v.Vary, cleanText(p.Name, maxWord))
			value = r.HeaderValue(p.Name, value)
		}
		v.Parts = append(v.Parts, pair{cleanText(p.Name, maxWord), cleanText(value, maxValue)})
	}
	for _, tag := range announcedTags(header) {
		if e.HasTag(tag) && len(v.Tags) < maxFields {
			v.Tags = append(v.Tags, cleanText(redact.Text(tag), maxWord))
		}
	}
	return v
}

func moment(t time.Time) time.Time { return t.Round(0).UTC() }

// announcedTags are the tags that servers write for content delivery networks. An entry has hashes only of those that the cache knows it by.
func announcedTags(h http.Header) []string {
	resp := &http.Response{Header: h}
	tags := slices.Concat(cache.SurrogateKey(resp), cache.CacheTag(resp), cache.XKey(resp))
	slices.Sort(tags)
	return slices.Compact(tags)
}

var errNoCache = errors.New("the inspector has no cache: give it one in inspect.Options.Cache")

const maxEntries = 1000

const (
	maxLooks   = 4                // requests that look at the cache at once: of a store that hangs, whatever its context says, no more wait
	lookWithin = 30 * time.Second // after which a store that hangs is given up
)

var errBusy = errors.New("the store of the cache has not answered earlier requests yet: try again")

// A glance is one look at the cache, and what its store failed at.
type glance struct {
	ctx   context.Context
	end   func()
	mu    sync.Mutex // guards fault
	fault error      // the first
}

// glance begins a look at the cache, which the caller ends. If there is no cache, or its store hangs, it answers the request and returns nil.
func (in *Inspector) glance(w http.ResponseWriter, r *http.Request) *glance {
	if in.o.Cache == nil {
		fail(w, http.StatusNotFound, errNoCache)
		return nil
	}
	if in.looking.Add(1) > maxLooks {
		in.looking.Add(-1)
		w.Header().Set("Retry-After", "30")
		fail(w, http.StatusServiceUnavailable, errBusy)
		return nil
	}
	g := &glance{}
	ctx, cancel := context.WithTimeoutCause(r.Context(), lookWithin, fmt.Errorf("the store of the cache took longer than %v", lookWithin))
	g.ctx = cache.WithTrace(ctx, &cache.Trace{Fault: func(_ string, err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.fault = cmp.Or(g.fault, err)
	}})
	g.end = func() { cancel(); in.looking.Add(-1) }
	return g
}

// failed is what the store failed at, without secrets, or nil.
func (g *glance) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.fault == nil:
		return nil
	case g.ctx.Err() != nil:
		return context.Cause(g.ctx)
	}
	return redact.Error(g.fault)
}

// refused answers a request that the cache did not carry out: because of its store, or of what was asked.
func (g *glance) refused(w http.ResponseWriter, err error) {
	if failed := g.failed(); failed != nil {
		fail(w, http.StatusBadGateway, failed)
		return
	}
	fail(w, http.StatusBadRequest, redact.Error(err))
}

// serveCache lists entries by URL and id. A cursor is the last one that a page has: what was stored or removed in between disturbs no page after it.
func (in *Inspector) serveCache(w http.ResponseWriter, r *http.Request) {
	g := in.glance(w, r)
	if g == nil {
		return
	}
	defer g.end()
	limit, err := number(r, "limit")
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	if limit == 0 || limit > maxEntries {
		limit = maxEntries
	}
	query := r.URL.Query()
	wanted, after := query.Get("prefix"), query.Get("after")
	type placed struct {
		at    string
		entry *cache.Entry
	}
	var found []placed
	for e := range in.o.Cache.Entries(g.ctx) {
		url := in.o.Redactor.URLText(e.URL())
		if !strings.HasPrefix(url, wanted) || query.Has("tag") && !e.HasTag(query.Get("tag")) {
			continue
		}
		if at := url + " " + idOf(e); at > after {
			found = append(found, placed{at, e})
		}
		if len(found) >= 2*maxEntries { // a cache may be larger than what a page is given
			slices.SortFunc(found, func(a, b placed) int { return strings.Compare(a.at, b.at) })
			found = found[:limit+1]
		}
	}
	slices.SortFunc(found, func(a, b placed) int { return strings.Compare(a.at, b.at) })
	fault := g.failed()
	if fault != nil && len(found) == 0 { // an empty cache is another thing
		fail(w, http.StatusBadGateway, fault)
		return
	}
	l := entryList{Entries: []entryView{}, Now: moment(time.Now()), Stats: in.cacheStats()}
	if int64(len(found)) > limit {
		found = found[:limit]
		l.Next = found[limit-1].at
	}
	if fault != nil {
		l.Fault = cleanText(fault.Error(), maxText)
	}
	for _, p := range found {
		l.Entries = append(l.Entries, in.entryOf(p.entry, l.Now))
	}
	writeJSON(w, l)
}

// deleteEntry removes one variant ("KEY.VARIANT") or all of a key ("KEY").
func (in *Inspector) deleteEntry(w http.ResponseWriter, r *http.Request) {
	g := in.glance(w, r)
	if g == nil {
		return
	}
	defer g.end()
	id := r.PathValue("id")
	key, _, one := strings.Cut(id, ".")
	entries, err := in.o.Cache.Get(g.ctx, key)
	if err != nil {
		g.refused(w, err)
		return
	}
	deleted := 0
	for _, e := range entries {
		if err == nil && (!one || idOf(e) == id) {
			err = in.o.Cache.DeleteEntry(g.ctx, e)
			deleted++
		}
	}
	switch {
	case err != nil:
		g.refused(w, err)
	case deleted == 0:
		fail(w, http.StatusNotFound, errors.New("there is no such entry any more"))
	default:
		writeJSON(w, map[string]int{"deleted": deleted})
	}
}

type purgeRequest struct {
	Tag     string `json:"tag"`
	URL     string `json:"url"`
	Pattern string `json:"pattern"`
	All     bool   `json:"all"`
}

func (in *Inspector) purge(w http.ResponseWriter, r *http.Request) {
	var p purgeRequest
	if !readJSON(w, r, &p) { // before the glance: a page that is slow to send keeps no other from looking
		return
	}
	g := in.glance(w, r)
	if g == nil {
		return
	}
	defer g.end()
	chosen := 0
	for _, given := range []bool{p.Tag != "", p.URL != "", p.Pattern != "", p.All} {
		if given {
			chosen++
		}
	}
	if chosen != 1 {
		fail(w, http.StatusBadRequest, errors.New("give exactly one of tag, url, pattern and all"))
		return
	}
	deleted := map[string]int{}
	var err error
	switch {
	case p.Tag != "":
		err = in.o.Cache.DeleteTag(g.ctx, p.Tag)
	case p.URL != "":
		err = in.o.Cache.DeleteURL(g.ctx, p.URL)
	case p.Pattern != "":
		deleted["deleted"], err = in.o.Cache.DeletePattern(g.ctx, p.Pattern)
	default:
		err = in.o.Cache.Clear(g.ctx)
	}
	if err != nil {
		g.refused(w, err)
		return
	}
	writeJSON(w, deleted)
}
