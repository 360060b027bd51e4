package lease

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/store"
)

// A Record is read as it was written; one that was changed or cut off in any way is none, and one of a later version is left alone.
func TestLeaseRecordRoundTrip(t *testing.T) {
	until := time.Now().Add(time.Second).Truncate(time.Millisecond)
	for _, n := range []Record{
		{by: stored.Generation{1}},
		{by: stored.Generation{1}, contended: true, Release: ReleaseAll, tags: []invalidation.Tag{{2}, {3}}, generations: []stored.Generation{{}, {4}}},
		{by: stored.Generation{1}, contended: true, Release: ReleaseOnePerProcess},
	} {
		r := n.record(until)
		r.Version = "v"
		n.key, n.version, n.until = "l1.k", "v", until
		got, err := readRecord("l1.k", r)
		if diff := cmp.Diff(n, got, cmp.AllowUnexported(Record{})); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		for i := range r.Data {
			for bit := range 8 {
				r.Data[i] ^= 1 << bit
				if _, err := readRecord("l1.k", r); err != durable.ErrDamaged {
					t.Errorf("byte %d, bit %d: %v", i, bit, err)
				}
				r.Data[i] ^= 1 << bit
			}
			if _, err := readRecord("l1.k", store.Record{Data: r.Data[:i], Version: "v"}); err != durable.ErrDamaged {
				t.Errorf("the first %d bytes: %v", i, err)
			}
		}
		durable.Seal(r.Data, recordKind)
		r.Data[4]++
		copy(r.Data[5:], []byte{0, 0, 0, 0})
		sum := durable.Checksum(r.Data)
		r.Data[5], r.Data[6], r.Data[7], r.Data[8] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		if _, err := readRecord("l1.k", r); err != durable.ErrNewer {
			t.Errorf("a later version: %v", err)
		}
	}
	if n, err := readRecord("l1.k", store.Record{}); err != nil || n.by != (stored.Generation{}) {
		t.Errorf("an absent one: %+v %v", n, err)
	}
}
