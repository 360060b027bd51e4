package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plyhttp/ply/store"
)

func absent(c *check) {
	c.missing("nothing", "was never put")
	if err := c.Delete(c.ctx, "nothing", ""); err != nil {
		c.Errorf("Delete of what is absent: %v, want no error", err)
	}
	if err := c.Delete(c.ctx, "nothing", "a-version"); err != nil {
		c.Errorf("Delete of a version of what is absent: %v, want no error", err)
	}
	err := c.Put(c.ctx, "nothing", store.Record{Data: []byte("x"), Version: "a-version"})
	c.conflict("Put in the place of a version that is not there", err)
	c.missing("nothing", "after a Put that was a conflict")
}

// conflict checks the error of a change that must not have taken place.
func (c *check) conflict(what string, err error) {
	c.Helper()
	if !errors.Is(err, store.ErrConflict) {
		c.Fatalf("%s: %v, want ErrConflict", what, err)
	}
}

func exactBytes(c *check) {
	var every bytes.Buffer
	for i := range 256 {
		every.WriteByte(byte(i))
	}
	bodies := [][]byte{
		{0}, {0xff}, []byte("\n"), []byte("\r\n"), []byte("''\"\\%s$1;--"), []byte("\xff\xfe\x80"), []byte("{\"a\":null}"), []byte(" x "), []byte("x\x00"),
		every.Bytes(), bytes.Repeat(every.Bytes(), 100), bytes.Repeat([]byte{0}, 5000), bytes.Repeat([]byte("\r\n"), 5000), []byte("\x1f\x8b\x08\x00\x00"),
	}
	for _, n := range []int{255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, 1<<20 + 1, 2<<20 - 1} {
		bodies = append(bodies, pattern("exact", n))
	}
	for i, body := range bodies {
		c.create(fmt.Sprintf("exact-%d", i), body)
	}
	var version string
	for _, body := range bodies { // one in the place of the other, longer and shorter ones
		c.put("again", store.Record{Data: body, Version: version})
		version = c.present("again", body).Version
	}
}

func fieldsComeBack(c *check) {
	later := time.Now().Add(time.Hour + 123*time.Millisecond).Truncate(time.Millisecond)
	far := time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
	records := []store.Record{
		{Data: []byte("bare")},
		{Data: []byte("entry"), Kind: store.KindEntry, Expires: later, Label: "https://example.com/ü?\x00'\"\r\n"},
		{Data: []byte("body"), Kind: store.KindBody, Owner: "fields-1", Expires: later},
		{Data: []byte("mark"), Kind: store.KindGeneration},
		{Data: []byte("lock"), Kind: store.KindLease, Expires: far},
		{Data: []byte("setup"), Kind: store.KindSetup, Label: strings.Repeat("long ", 20_000)},
		{Data: []byte("unknown"), Kind: 200, Expires: later.In(time.FixedZone("elsewhere", 5*3600))},
	}
	version := ""
	check := func(key string, want store.Record) {
		c.Helper()
		got := c.present(key, want.Data)
		if got.Kind != want.Kind || got.Owner != want.Owner {
			c.Errorf("%s: got kind %d, owner %q, want %d, %q", want.Data, got.Kind, got.Owner, want.Kind, want.Owner)
		}
		if got.Expires.IsZero() != want.Expires.IsZero() || got.Expires.Sub(want.Expires).Abs() >= time.Millisecond {
			c.Errorf("%s: expires %v, want %v", want.Data, got.Expires, want.Expires)
		}
		version = got.Version
	}
	for i, want := range records {
		key := fmt.Sprintf("fields-%d", i)
		c.put(key, want)
		check(key, want)
	}
	version = ""
	for _, want := range records { // nothing stays from the record before
		want.Version = version
		c.put("fields", want)
		check("fields", want)
	}
}

func everyKeyIsItsOwn(c *check) {
	keys := []string{
		"a", "A", "ab", "aB", "Ab", "AB", "0", "00", "-", "--", "_", ":", "::", ".", "..", "...", ".a", "a.", "a.b", "a:b", "a-b", "a_b", "-a", "a-",
		"con", "CON", "nul", "aux", "com1", "lock", "tmp", "index", "k", "K", "key.tmp", "a.b.c:d-e_f", "1e3", "0x10", "NULL", "true",
		"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789_.:-",
		strings.Repeat("x", 128), strings.Repeat("x", 127), strings.Repeat("x", 127) + "X", strings.Repeat("x", 127) + "y", "y" + strings.Repeat("x", 127),
		strings.Repeat(".", 128), strings.Repeat("_", 64), strings.Repeat(":", 64),
	}
	written := make(map[string]store.Record)
	for _, key := range keys {
		written[key] = c.create(key, proof(key, 1, 100))
	}
	for _, key := range keys {
		c.present(key, proof(key, 1, 100))
	}
	for _, key := range keys {
		c.present(key, proof(key, 1, 100)) // though the keys before it are deleted
		if err := c.Delete(c.ctx, key, written[key].Version); err != nil {
			c.Fatalf("Delete(%q): %v", key, err)
		}
		c.missing(key, "after Delete")
	}
}

func versions(c *check) {
	seen := make(map[string]int)
	for i := range 120 {
		data := fmt.Appendf(nil, "state %d", i/4) // the same bytes get a new version, too
		version := c.get("versions").Version
		c.put("versions", store.Record{Data: data, Version: version})
		r := c.present("versions", data)
		if earlier, ok := seen[r.Version]; ok {
			c.Fatalf("version %q is that of change %d and of change %d", r.Version, earlier, i)
		}
		seen[r.Version] = i
		if again := c.present("versions", data); again.Version != r.Version {
			c.Fatalf("version %q became %q without a change", r.Version, again.Version)
		}
		if i%3 == 2 {
			if err := c.Delete(c.ctx, "versions", r.Version); err != nil {
				c.Fatalf("Delete of the version that is there: %v", err)
			}
		}
		if s, ok := store.As[store.Clearer](c.Store); ok && i%40 == 39 {
			if err := s.Clear(c.ctx); err != nil {
				c.Fatalf("Clear: %v", err)
			}
		}
	}
}

func putReplacesOneVersion(c *check) {
	first := c.create("k", []byte("first"))
	c.conflict("Put of a second record as if there were none", c.Put(c.ctx, "k", store.Record{Data: []byte("other")}))
	c.conflict("Put in the place of a version that never was", c.Put(c.ctx, "k", store.Record{Data: []byte("other"), Version: first.Version + "0"}))
	c.conflict("Put in the place of a version with a strange name", c.Put(c.ctx, "k", store.Record{Data: []byte("other"), Version: "' OR 1=1 *"}))
	if again := c.present("k", []byte("first")); again.Version != first.Version {
		c.Errorf("conflicts changed version %q to %q", first.Version, again.Version)
	}
	c.put("k", store.Record{Data: []byte("second"), Version: first.Version})
	second := c.present("k", []byte("second"))
	c.conflict("Put in the place of a version that is gone", c.Put(c.ctx, "k", store.Record{Data: []byte("third"), Version: first.Version}))
	c.present("k", []byte("second"))

	other := c.create("l", []byte("other key"))
	if other.Version != second.Version {
		c.conflict("Put with the version of another key", c.Put(c.ctx, "k", store.Record{Data: []byte("third"), Version: other.Version}))
	}
	if err := c.Delete(c.ctx, "k", ""); err != nil {
		c.Fatalf("Delete of any version: %v", err)
	}
	c.conflict("Put in the place of what was deleted", c.Put(c.ctx, "k", store.Record{Data: []byte("third"), Version: second.Version}))
	c.missing("k", "after Delete and a conflict")
	c.create("k", []byte("fourth"))
}

func deleteRemovesOneVersion(c *check) {
	first := c.create("k", []byte("first"))
	c.put("k", store.Record{Data: []byte("second"), Version: first.Version})
	c.conflict("Delete of a version that is gone", c.Delete(c.ctx, "k", first.Version))
	second := c.present("k", []byte("second"))
	if err := c.Delete(c.ctx, "k", second.Version); err != nil {
		c.Fatalf("Delete of the version that is there: %v", err)
	}
	c.missing("k", "after Delete")
	c.create("k", []byte("third"))
	if err := c.Delete(c.ctx, "k", ""); err != nil {
		c.Fatalf("Delete of any version: %v", err)
	}
	c.missing("k", "after Delete of any version")
}

func dataIsNotShared(c *check) {
	data := []byte("what the caller puts")
	c.put("k", store.Record{Data: data})
	scribble(data)
	want := []byte("what the caller puts")
	got := c.present("k", want)
	scribble(got.Data)
	_ = append(got.Data, "and more"...)
	again := c.present("k", want)
	for i := range 100 { // a buffer that is used again would show here
		key := fmt.Sprintf("other-%d", i)
		c.put(key, store.Record{Data: pattern(key, 20+i)})
		c.present(key, pattern(key, 20+i))
	}
	c.same("k", again, want)
	if s, ok := store.As[store.MultiGetter](c.Store); ok {
		records, err := s.GetMulti(c.ctx, []string{"k", "k"})
		if err != nil || len(records) != 2 {
			c.Fatalf("GetMulti of two keys: %d records, %v", len(records), err)
		}
		scribble(records[0].Data)
		c.same("k", records[1], want)
		c.present("k", want)
	}
	if s, ok := store.As[store.Ranger](c.Store); ok {
		err := s.Range(c.ctx, 0, func(_ string, r store.Record) bool { scribble(r.Data); return true })
		if err != nil {
			c.Errorf("Range: %v", err)
		}
		c.present("k", want)
	}
}

// scribble overwrites data, up to its capacity.
func scribble(data []byte) {
	data = data[:cap(data)]
	for i := range data {
		data[i] ^= 0x55
	}
}

func tooLarge(c *check) {
	old := c.create("k", []byte("small"))
	for _, n := range []int{4 << 20, 17 << 20} {
		data := bytes.Repeat([]byte("large record "), n/13)
		err := c.Put(c.ctx, "k", store.Record{Data: data, Version: old.Version})
		switch {
		case errors.Is(err, store.ErrTooLarge):
			if now := c.present("k", []byte("small")); now.Version != old.Version {
				c.Errorf("ErrTooLarge changed the version of what was there")
			}
			c.conflictOrTooLarge(c.Put(c.ctx, "k", store.Record{Data: data, Version: "another"}))
			if err := c.Put(c.ctx, "l", store.Record{Data: data}); !errors.Is(err, store.ErrTooLarge) {
				c.Errorf("Put of %d bytes: %v under another key, want ErrTooLarge again", len(data), err)
			}
			c.missing("l", "after ErrTooLarge")
			return
		case err != nil:
			c.Fatalf("Put of %d bytes: %v, want no error or ErrTooLarge", len(data), err)
		}
		if r := c.get("k"); r.Version != "" && !bytes.Equal(r.Data, data) {
			c.Fatalf("Put of %d bytes: now there is %s", len(data), excerpt(r.Data))
		}
		if err := c.Delete(c.ctx, "k", ""); err != nil {
			c.Fatalf("Delete of %d bytes: %v", len(data), err)
		}
		old = c.create("k", []byte("small"))
	}
}

func (c *check) conflictOrTooLarge(err error) {
	c.Helper()
	if !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, store.ErrConflict) {
		c.Errorf("Put of a large record over a version that is not there: %v, want ErrTooLarge or ErrConflict", err)
	}
}

func owners(c *check) {
	part := func(owner string, i int) string { return fmt.Sprintf("%s.%d", owner, i) }
	for _, owner := range []string{"one", "two"} {
		for i := range 4 { // parts come before what owns them
			c.put(part(owner, i), store.Record{Data: proof(part(owner, i), 1, 5000), Kind: store.KindBody, Owner: owner})
		}
		c.put(owner, store.Record{Data: proof(owner, 1, 300), Kind: store.KindEntry})
	}
	for _, owner := range []string{"one", "two"} {
		c.present(owner, proof(owner, 1, 300))
		for i := range 4 {
			if r := c.present(part(owner, i), proof(part(owner, i), 1, 5000)); r.Owner != owner || r.Kind != store.KindBody {
				c.Errorf("a part of %q: owner %q, kind %v", owner, r.Owner, r.Kind)
			}
		}
	}
	if err := c.Delete(c.ctx, part("one", 2), ""); err != nil {
		c.Fatalf("Delete of a part: %v", err)
	}
	c.missing(part("one", 2), "after Delete")
	c.present("one", proof("one", 1, 300))
	c.present(part("one", 3), proof(part("one", 3), 1, 5000))
	if err := c.Delete(c.ctx, "one", ""); err != nil {
		c.Fatalf("Delete of the owner: %v", err)
	}
	c.missing("one", "after Delete")
	c.present("two", proof("two", 1, 300))
	for i := range 4 {
		c.present(part("two", i), proof(part("two", i), 1, 5000))
		if r := c.get(part("one", i)); r.Version != "" { // those of the other owner may be gone, or not
			c.same(part("one", i), r, proof(part("one", i), 1, 5000))
		}
	}
}

func manyKeys(c *check) {
	const n = 1200
	key := func(i int) string { return fmt.Sprintf("many:%x.%d", i*7919, i) }
	for i := range n {
		c.put(key(i), store.Record{Data: proof(key(i), uint64(i), 100+i%400), Kind: store.KindEntry, Owner: fmt.Sprint("host", i%10)})
	}
	for i := range n {
		c.present(key(i), proof(key(i), uint64(i), 100+i%400))
	}
	for i := 0; i < n; i += 4 {
		if err := c.Delete(c.ctx, key(i), ""); err != nil {
			c.Fatalf("Delete: %v", err)
		}
	}
	for i := 0; i < n; i += 4 {
		c.missing(key(i), "after Delete")
		c.present(key(i+1), proof(key(i+1), uint64(i+1), 100+(i+1)%400))
	}
}

// A store may notice that a context is done or not. It must return, and what it then says must be true.
func contextDone(c *check) {
	canceled, cancel := context.WithCancel(c.ctx)
	cancel()
	late, cancel := context.WithDeadline(c.ctx, time.Now().Add(-time.Second))
	defer cancel()
	for i, ctx := range []context.Context{canceled, late} {
		key := fmt.Sprintf("done-%d", i)
		before := c.create(key, []byte("before"))
		var r store.Record
		var err error
		c.within("Get with a context that is done", func() { r, err = c.Get(ctx, key) })
		if err == nil {
			c.same(key, r, []byte("before"))
		}
		c.within("Put with a context that is done", func() { err = c.Put(ctx, key, store.Record{Data: []byte("after"), Version: before.Version}) })
		now := c.get(key)
		if old := string(now.Data) == "before" && now.Version == before.Version; err == nil || !old {
			c.same(key, now, []byte("after"))
		}
		c.within("Delete with a context that is done", func() { err = c.Delete(ctx, key, "") })
		if r := c.get(key); err == nil {
			c.zero(key, r, "after Delete")
		} else if r.Version != "" {
			c.same(key, r, now.Data)
		}
		c.within("the optional methods with a context that is done", func() { c.optional(ctx) })
	}
	if r := c.get("done"); r.Version == "" {
		c.create("done", []byte("the store still works"))
	}
}

// optional calls what takes a context and is not in Store.
func (c *check) optional(ctx context.Context) {
	if s, ok := store.As[store.MultiGetter](c.Store); ok {
		s.GetMulti(ctx, []string{"done-0", "done-1"})
	}
	if s, ok := store.As[store.Ranger](c.Store); ok {
		s.Range(ctx, store.KindEntry, func(string, store.Record) bool { return true })
	}
	if s, ok := store.As[store.Expirer](c.Store); ok {
		s.DeleteExpired(ctx, time.Now())
	}
	if s, ok := store.As[store.Sizer](c.Store); ok {
		s.Size(ctx)
	}
}
