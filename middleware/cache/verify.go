package cache

import (
	"context"
	"errors"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// VerifyOptions say what [Cache.Verify] does with what it finds. The zero VerifyOptions change nothing.
type VerifyOptions struct {
	// DeleteDamaged removes records that are damaged, and responses of whose bodies a piece is missing or damaged. Requests for them are answered by the origin, as before.
	DeleteDamaged bool

	// DeleteOrphaned removes pieces of bodies that no response has. They expire by themselves. Among them are those of bodies that are on their way into the store,
	// or that a request still reads after they were replaced: name it only while no process uses the store.
	DeleteOrphaned bool

	// Progress is called after each record with the counts so far. Nil means that no function is.
	Progress func(VerifyReport)

	// Found is called with each problem. Nil means that no function is.
	Found func(VerifyProblem)
}

// A VerifyReport counts what [Cache.Verify] has read.
type VerifyReport struct {
	Records int   // of all kinds
	Entries int   // stored responses in them
	Bytes   int64 // of the records

	Damaged    int // records that do not have the bytes that were put
	Incomplete int // responses of whose bodies a piece is missing or damaged
	Newer      int // records of a later version of this module, which stay as they are
	Orphaned   int // pieces of bodies that no response has
	Deleted    int // of these
}

// Sound reports whether there were neither damaged records nor incomplete bodies.
func (r VerifyReport) Sound() bool { return r.Damaged == 0 && r.Incomplete == 0 }

// A VerifyProblem is a record with a problem.
type VerifyProblem struct {
	Record  string     // its key in the store
	Kind    store.Kind // what it is for
	URL     string     // of the response, redacted, where one of a record has the problem; otherwise empty
	Err     error      // what is wrong, for people
	Deleted bool       // it has been removed
}

// Verify reads every record of the store and checks it: its checksum, its form, that it stands under its own key, that a body has all of its pieces, and that each piece
// belongs to a response. It is a look, as long as the options say nothing else, and may be called while the cache is in use: what changes meanwhile is no problem.
// To requests a damaged record is a miss anyway, and goes then; Verify finds those that no request comes for, and says how many there are.
//
// The error says that the store has failed, or cannot list what it holds; the report counts what had been read by then. Damage is no error: see [VerifyReport.Sound].
// What the store itself finds damaged, and does not list, Verify does not see. Of a [Memory] it counts the entries: nothing in it can be damaged.
func (c *Cache) Verify(ctx context.Context, o VerifyOptions) (VerifyReport, error) {
	var report VerifyReport
	if c.durable == nil {
		err := c.store.Each(ctx, nil, func(_ string, set *stored.Variants, _ stored.Updater) bool {
			report.Records, report.Entries, report.Bytes = report.Records+1, report.Entries+len(set.Entries), report.Bytes+set.Size()
			o.progress(report)
			return true
		})
		return report, wrapped("verify", err)
	}
	err := c.durable.Verify(ctx, durable.Verification{
		DeleteDamaged: o.DeleteDamaged, DeleteOrphaned: o.DeleteOrphaned,
		Seen: func(r durable.Checked) { report.count(&r, &o) },
	})
	return report, c.reported(ctx, "verify", err)
}

func (o *VerifyOptions) progress(r VerifyReport) {
	if o.Progress != nil {
		o.Progress(r)
	}
}

// count takes in a record that was checked.
func (r *VerifyReport) count(c *durable.Checked, o *VerifyOptions) {
	if !errors.Is(c.Problem, durable.ErrGone) { // which comes after its record
		r.Records, r.Entries, r.Bytes = r.Records+1, r.Entries+c.Entries, r.Bytes+c.Bytes
	}
	switch c.Problem {
	case durable.ErrDamaged:
		r.Damaged++
	case durable.ErrGone:
		r.Incomplete++
	case durable.ErrNewer:
		r.Newer++
	case durable.ErrOrphaned:
		r.Orphaned++
	}
	if c.Deleted {
		r.Deleted++
	}
	if c.Problem != nil && o.Found != nil {
		o.Found(VerifyProblem{Record: c.Key, Kind: c.Kind, URL: c.URL, Err: c.Problem, Deleted: c.Deleted})
	}
	o.progress(*r)
}
