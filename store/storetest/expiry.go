package storetest

import (
	"fmt"
	"time"

	"github.com/plyhttp/ply/store"
)

// A record whose time is over when it comes is as good as absent, and so is what it replaced.
func expiredInThePast(c *check) {
	for i, ago := range []time.Duration{time.Second, time.Hour, 20 * 365 * 24 * time.Hour} {
		key := fmt.Sprintf("past-%d", i)
		dead := store.Record{Data: []byte("dead"), Expires: time.Now().Add(-ago)}
		c.put(key, dead)
		c.missing(key, "after its time")
		c.put(key, dead) // in the place of nothing
		c.missing(key, "after its time")
		live := c.create(key, []byte("alive"))
		dead.Version = live.Version
		c.put(key, dead)
		c.missing(key, "after it was replaced by a record that is over")
		c.conflict("Put in the place of a record that was replaced", c.Put(c.ctx, key, store.Record{Data: []byte("x"), Version: live.Version}))
		if err := c.Delete(c.ctx, key, live.Version); err != nil {
			c.Errorf("Delete of an expired record: %v, want no error", err)
		}
		c.create(key, []byte("alive again"))
	}
}

// expiresInTime reads a record until it is gone. As the clock is read before each Get, a slow machine is no excuse for the store, nor a reason to fail.
func expiresInTime(c *check) {
	for i := range 3 {
		key := fmt.Sprintf("in-time-%d", i)
		expires := time.Now().Add(50 * time.Millisecond)
		c.put(key, store.Record{Data: []byte("soon gone"), Expires: expires})
		version := ""
		gone := c.poll(func() bool {
			asked := time.Now()
			r := c.get(key)
			if r.Version == "" {
				c.zero(key, r, "after its time")
				return true
			}
			c.same(key, r, []byte("soon gone"))
			version = r.Version
			if late := asked.Sub(expires); late > slack {
				c.Fatalf("a record is still there %v after its time", late)
			}
			return false
		})
		if !gone {
			c.Fatalf("a record is still there long after its time")
		}
		if version != "" {
			c.conflict("Put in the place of an expired record", c.Put(c.ctx, key, store.Record{Data: []byte("x"), Version: version}))
			if err := c.Delete(c.ctx, key, version); err != nil {
				c.Errorf("Delete of an expired record: %v, want no error", err)
			}
		}
		if next := c.create(key, []byte("next")); next.Version == version {
			c.Errorf("version %q was used again after the record expired", version)
		}
	}
}

func doesNotExpireEarly(c *check) {
	for i, d := range []time.Duration{400 * time.Millisecond, 1200 * time.Millisecond, 1900 * time.Millisecond, time.Minute, 24 * time.Hour, 40 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		key := fmt.Sprintf("early-%d", i)
		expires := time.Now().Add(d)
		c.put(key, store.Record{Data: []byte("still good"), Expires: expires})
		r := c.get(key)
		if left := time.Until(expires); r.Version == "" && left > slack {
			c.Errorf("a record is gone %v before its time", left)
		}
	}
	c.create("never", []byte("no time at all"))
	// The longer time counts, not the one before.
	short := time.Now().Add(300 * time.Millisecond)
	c.put("longer", store.Record{Data: []byte("short"), Expires: short})
	if r := c.get("longer"); r.Version != "" {
		c.put("longer", store.Record{Data: []byte("long"), Version: r.Version})
		c.poll(func() bool { return time.Since(short) > 20*time.Millisecond })
		c.present("longer", []byte("long"))
	}
}
