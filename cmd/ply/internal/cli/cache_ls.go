package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

type lsFlags struct {
	cacheFlags
	selectFlags
	sort          string
	reverse, long bool
	limit         int
}

func newCacheLsCommand(e *env) *cobra.Command {
	f := &lsFlags{}
	cmd := &cobra.Command{
		Use:   "ls STORE [WHAT...]",
		Short: "List what is stored",
		Example: `  ply cache ls default
  ply cache ls ./cache 'api.example.com/**' --stale --sort size --limit 10
  ply cache ls redis://localhost:6379 --format json | jq .URL`,
		Args: takesArgs(1, -1, "a STORE, and WHAT is listed of it"),
		RunE: f.onStore(e, func(cmd *cobra.Command, c *openCache, what []string) error { return f.run(cmd.Context(), e, c, what) }),
	}
	f.cacheFlags.add(cmd)
	f.selectFlags.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.sort, "sort", "url", "order: url, size (largest first), age (newest first), expires (first to expire first), used (last used first)")
	flags.BoolVarP(&f.reverse, "reverse", "r", false, "the other way round")
	flags.BoolVarP(&f.long, "long", "l", false, "keys, methods, types, and what the entries vary on")
	flags.IntVarP(&f.limit, "limit", "n", 0, "how many are listed; 0 means all")
	complete(cmd, "sort", "url", "size", "age", "expires", "used")
	return cmd
}

// An lsRow is what is kept of an entry until all have been seen: less than the entry, which may have its body.
type lsRow struct {
	url, method, key, mediaType, varies string
	status                              int
	size                                int64
	received, expires, used             time.Time
	json                                json.RawMessage
}

func (f *lsFlags) run(ctx context.Context, e *env, c *openCache, what []string) error {
	order, ok := lsOrders[f.sort]
	if !ok {
		return usageErrorf("--sort is %q: give url, size, age, expires or used", f.sort)
	}
	if f.limit < 0 {
		return usageErrorf("--limit cannot be negative")
	}
	now := time.Now()
	chosen, err := f.choose(c, what, now)
	if err != nil {
		return err
	}
	var rows []lsRow
	for entry := range c.Entries(ctx) {
		if !chosen.has(entry) {
			continue
		}
		row, err := newLsRow(entry, e.json())
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	if err := c.failed(ctx); err != nil {
		return err
	}
	chosen.hintUnfit(e)
	slices.SortFunc(rows, func(a, b lsRow) int {
		return cmp.Or(order(&a, &b), strings.Compare(a.url, b.url), strings.Compare(a.key, b.key))
	})
	if f.reverse {
		slices.Reverse(rows)
	}
	total := len(rows)
	if f.limit > 0 && total > f.limit {
		rows = rows[:f.limit]
	}
	if e.json() {
		for _, r := range rows {
			if _, err := fmt.Fprintf(e.stdout, "%s\n", r.json); err != nil {
				return err
			}
		}
		return nil
	}
	if err := f.table(e, rows, now).write(e.stdout); err != nil {
		return err
	}
	if total > len(rows) {
		e.say("%d of %d", len(rows), total)
	}
	return c.hintUnreadable(ctx, e, total)
}

var lsOrders = map[string]func(a, b *lsRow) int{
	"url":     func(a, b *lsRow) int { return strings.Compare(a.url, b.url) },
	"size":    func(a, b *lsRow) int { return cmp.Compare(b.size, a.size) },
	"age":     func(a, b *lsRow) int { return b.received.Compare(a.received) },
	"expires": func(a, b *lsRow) int { return a.expires.Compare(b.expires) },
	"used":    func(a, b *lsRow) int { return b.used.Compare(a.used) },
}

func newLsRow(entry *cache.Entry, asJSON bool) (row lsRow, err error) {
	parts := entry.KeyParts()
	row = lsRow{
		url: parts[1].Value, method: entry.Method(), key: entry.Key(), mediaType: mediaTypeOf(entry), varies: variesOn(parts), status: entry.StatusCode(), size: entry.Size(),
		received: entry.Received(), expires: entry.Expires(), used: entry.LastUsed(),
	}
	if asJSON {
		row.json, err = json.Marshal(entry)
	}
	return row, err
}

func mediaTypeOf(entry *cache.Entry) string {
	mediaType, _, _ := strings.Cut(entry.Header().Get("Content-Type"), ";")
	return strings.TrimSpace(mediaType)
}

// variesOn lists the fields that select an entry among those of its key; the values of credentials are hashes.
func variesOn(parts []cache.KeyPart) string {
	var fields []string
	for _, p := range parts[2 : len(parts)-1] {
		fields = append(fields, p.Name+"="+p.Value)
	}
	return strings.Join(fields, " ")
}

func (f *lsFlags) table(e *env, rows []lsRow, now time.Time) *textTable {
	t := &textTable{head: []string{"STATE", "STATUS", "SIZE", "AGE", "URL"}, right: []bool{false, true, true, true}, style: e.style()}
	if f.long {
		t.head = []string{"STATE", "STATUS", "SIZE", "AGE", "KEY", "METHOD", "TYPE", "URL", "VARIES ON"}
	}
	for i := range rows {
		r := &rows[i]
		state, color := "fresh "+shortDuration(r.expires.Sub(now)), t.style.green
		if !r.expires.After(now) {
			state, color = "stale "+shortDuration(now.Sub(r.expires)), t.style.yellow
		}
		cells := []string{state, fmt.Sprint(r.status), byteSize(r.size), shortDuration(now.Sub(r.received)), r.url}
		if f.long {
			cells = append(cells[:4], r.key[:min(12, len(r.key))], r.method, r.mediaType, r.url, r.varies)
		}
		t.add(color, cells...)
	}
	return t
}

// hintUnreadable says so if nothing is listed of a store that has records: they are encrypted, compressed or damaged.
func (c *openCache) hintUnreadable(ctx context.Context, e *env, listed int) error {
	ranger, ok := store.As[store.Ranger](c.raw)
	if listed > 0 || !ok {
		return nil
	}
	for range c.Entries(ctx) { // they were not chosen
		return nil
	}
	n := 0
	err := ranger.Range(ctx, store.KindEntry, func(string, store.Record) bool { n++; return true })
	if n > 0 {
		e.say("The store has %d records that cannot be read: encrypted (--encryption-key-file), invalidated, or damaged (ply cache verify).", n)
	}
	return err
}
