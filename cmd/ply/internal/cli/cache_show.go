package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

type showFlags struct {
	cacheFlags
	selectFlags
	body int64
	raw  bool
}

func newCacheShowCommand(e *env) *cobra.Command {
	f := &showFlags{}
	cmd := &cobra.Command{
		Use:   "show STORE WHAT...",
		Short: "Show stored responses: key, freshness, header, body",
		Long: `ply cache show is for looking: credentials in the header, the URL and the body are hidden as
far as their names give them away (token, password, api_key…; XML as a whole), bodies are
decoded, and nothing steers the terminal. --raw writes the body as it is stored; the header
as it came is that of ply get --offline --include URL.`,
		Example: `  ply cache show default https://api.example.com/users
  ply cache show default 3f9a2c11 --raw > body.bin
  ply cache show sqlite:cache.db 'api.example.com/**' --format json`,
		Args: takesArgs(2, -1, "a STORE, and WHAT is shown of it"),
		RunE: f.onStore(e, func(cmd *cobra.Command, c *openCache, what []string) error { return f.run(cmd.Context(), e, c, what) }),
	}
	f.cacheFlags.add(cmd)
	f.selectFlags.add(cmd)
	cmd.Flags().Int64Var(&f.body, "body", 4<<10, "how many bytes of each body are shown, without secrets; 0 means none")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "write the body of one response as it is stored, secrets and content codings included, and nothing else")
	return cmd
}

func (f *showFlags) run(ctx context.Context, e *env, c *openCache, what []string) error {
	chosen, err := f.choose(c, what, time.Now())
	if err != nil {
		return err
	}
	var found []*cache.Entry
	for entry := range c.Entries(ctx) {
		if chosen.has(entry) {
			found = append(found, entry)
		}
	}
	if err := c.failed(ctx); err != nil {
		return err
	}
	chosen.hintUnfit(e)
	slices.SortFunc(found, func(a, b *cache.Entry) int {
		return cmp.Or(cmp.Compare(a.URL(), b.URL()), cmp.Compare(a.Key(), b.Key()), a.Received().Compare(b.Received()))
	})
	switch {
	case len(found) == 0:
		return &codedError{exitNotCached, fmt.Errorf("nothing that is stored fits %q", what)}
	case f.raw && len(found) > 1:
		return usageErrorf("%d responses fit: --raw shows one, so give the beginning of its key, as ply cache ls --long shows it", len(found))
	case f.raw:
		return copyBody(ctx, e.stdout, found[0])
	}
	for i, entry := range found {
		var body *shownBody
		if f.body > 0 {
			if body, err = beginningOf(ctx, entry, f.body); err != nil {
				return err
			}
		}
		if e.json() {
			err = writeEntryJSON(e.stdout, entry, body)
		} else {
			if i > 0 {
				fmt.Fprintln(e.stdout)
			}
			err = showEntry(e, entry, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyBody writes the body of an entry as it is stored.
func copyBody(ctx context.Context, w io.Writer, entry *cache.Entry) error {
	resp, err := entry.Open(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

// showEntry writes an entry for people, with its body unless that is nil. Credentials are hidden, and those that the key has stand there as the hash that the store has.
func showEntry(e *env, entry *cache.Entry, body *shownBody) error {
	now, s := time.Now(), e.style()
	parts := entry.KeyParts()
	state := s.green("fresh") + " for " + shortDuration(entry.Expires().Sub(now))
	if !entry.Fresh(now) {
		state = s.yellow("stale") + " for " + shortDuration(now.Sub(entry.Expires()))
	}
	w := e.stdout
	fmt.Fprintf(w, "%s %s\n", s.bold(entry.Method()), s.bold(printableLine(parts[1].Value)))
	fmt.Fprintf(w, "  state      %s, age %s\n", state, shortDuration(entry.Age(now)))
	fmt.Fprintf(w, "  received   %s, after %s\n", entry.Received().Local().Format(time.DateTime), entry.ResponseDelay().Round(time.Millisecond))
	fmt.Fprintf(w, "  expires    %s\n", entry.Expires().Local().Format(time.DateTime))
	fmt.Fprintf(w, "  size       %s\n", byteSize(entry.Size()))
	fmt.Fprintf(w, "  key        %s\n", entry.Key())
	for _, p := range parts[2 : len(parts)-1] {
		fmt.Fprintf(w, "  varies on  %s: %s\n", p.Name, printableLine(p.Value))
	}
	fmt.Fprintf(w, "\n%d\n", entry.StatusCode())
	header := (*redact.Redactor)(nil).Header(entry.Header())
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			fmt.Fprintf(w, "%s %s\n", s.cyan(name+":"), printableLine(value))
		}
	}
	if body == nil {
		return nil
	}
	fmt.Fprintln(w)
	return body.write(w)
}

// storeStats is what ply cache stats shows.
type storeStats struct {
	Entries, Fresh, Stale int
	Bytes                 int64            // charged to the entries
	Statuses              map[int]int      // entries by status
	Hosts                 map[string]int64 // bytes by host
	Oldest, Newest        *time.Time       `json:",omitempty"`
	StoreRecords          int64            `json:",omitempty"` // of all kinds, if the store counts them
	StoreBytes            int64            `json:",omitempty"`
}

func newCacheStatsCommand(e *env) *cobra.Command {
	f := &cacheFlags{}
	cmd := &cobra.Command{
		Use:     "stats STORE",
		Short:   "Count what is stored: entries, bytes, statuses, hosts",
		Example: "  ply cache stats default\n  ply cache stats sqlite:cache.db --format json",
		Args:    takesArgs(1, 1, "a STORE"),
		RunE: f.onStore(e, func(cmd *cobra.Command, c *openCache, _ []string) error {
			s, err := countStore(cmd.Context(), c)
			if err != nil {
				return err
			}
			if e.json() {
				return writeJSON(e.stdout, s)
			}
			s.write(e)
			return c.hintUnreadable(cmd.Context(), e, s.Entries)
		}),
	}
	f.add(cmd)
	return cmd
}

func countStore(ctx context.Context, c *openCache) (*storeStats, error) {
	s, now := &storeStats{Statuses: map[int]int{}, Hosts: map[string]int64{}}, time.Now()
	for entry := range c.Entries(ctx) {
		s.Entries++
		s.Bytes += entry.Size()
		s.Statuses[entry.StatusCode()]++
		s.Hosts[hostOf(entry.URL())] += entry.Size()
		if entry.Fresh(now) {
			s.Fresh++
		}
		at := entry.Received().UTC().Truncate(time.Millisecond)
		if s.Oldest == nil || at.Before(*s.Oldest) {
			s.Oldest = &at
		}
		if s.Newest == nil || at.After(*s.Newest) {
			s.Newest = &at
		}
	}
	s.Stale = s.Entries - s.Fresh
	if err := c.failed(ctx); err != nil {
		return nil, err
	}
	if sizer, ok := store.As[store.Sizer](c.raw); ok {
		var err error
		if s.StoreRecords, s.StoreBytes, err = sizer.Size(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// write writes the counts for people: the ten largest hosts of them.
func (s *storeStats) write(e *env) {
	w := e.stdout
	fmt.Fprintf(w, "entries   %d: %d fresh, %d stale\n", s.Entries, s.Fresh, s.Stale)
	fmt.Fprintf(w, "bytes     %s\n", byteSize(s.Bytes))
	if s.StoreBytes > 0 {
		fmt.Fprintf(w, "store     %s in %d records\n", byteSize(s.StoreBytes), s.StoreRecords)
	}
	if s.Oldest != nil {
		fmt.Fprintf(w, "received  from %s to %s\n", s.Oldest.Local().Format(time.DateTime), s.Newest.Local().Format(time.DateTime))
	}
	for _, status := range slices.Sorted(maps.Keys(s.Statuses)) {
		fmt.Fprintf(w, "status    %d: %d\n", status, s.Statuses[status])
	}
	hosts := slices.SortedFunc(maps.Keys(s.Hosts), func(a, b string) int { return cmp.Or(cmp.Compare(s.Hosts[b], s.Hosts[a]), cmp.Compare(a, b)) })
	for i, host := range hosts {
		if i == 10 {
			fmt.Fprintf(w, "          and %d hosts more\n", len(hosts)-i)
			break
		}
		fmt.Fprintf(w, "host      %s: %s\n", printableLine(host), byteSize(s.Hosts[host]))
	}
}
