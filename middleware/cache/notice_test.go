package cache

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/plyhttp/ply/store"
)

// A notice is read as it was written; one that was changed or cut off in any way is none, and one of a later version is left alone.
func TestNoticesAreReadAsTheyWereWritten(t *testing.T) {
	until := time.Now().Add(time.Second).Truncate(time.Millisecond)
	for _, n := range []notice{
		{by: nonce{1}},
		{by: nonce{1}, awaited: true, parting: each, tags: []tag{{2}, {3}}, marks: []nonce{{}, {4}}},
		{by: nonce{1}, awaited: true, parting: allOver},
	} {
		r := n.record(until)
		r.Version = "v"
		n.key, n.version, n.until = "l1.k", "v", until
		got, err := readNotice("l1.k", r)
		if diff := cmp.Diff(n, got, cmp.AllowUnexported(notice{})); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		for i := range r.Data {
			for bit := range 8 {
				r.Data[i] ^= 1 << bit
				if _, err := readNotice("l1.k", r); err != errDamaged {
					t.Errorf("byte %d, bit %d: %v", i, bit, err)
				}
				r.Data[i] ^= 1 << bit
			}
			if _, err := readNotice("l1.k", store.Record{Data: r.Data[:i], Version: "v"}); err != errDamaged {
				t.Errorf("the first %d bytes: %v", i, err)
			}
		}
		seal(r.Data, noticeKind)
		r.Data[4]++
		copy(r.Data[5:], []byte{0, 0, 0, 0})
		sum := checksum(r.Data)
		r.Data[5], r.Data[6], r.Data[7], r.Data[8] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		if _, err := readNotice("l1.k", r); err != errNewer {
			t.Errorf("a later version: %v", err)
		}
	}
	if n, err := readNotice("l1.k", store.Record{}); err != nil || n.by != (nonce{}) {
		t.Errorf("an absent one: %+v %v", n, err)
	}
}
