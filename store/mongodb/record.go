package mongodb

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

const (
	format   = 1
	maxLabel = 300 // bytes
	overhead = 512 // bytes that a record is charged with beside its data
)

// never is the end of records without one, so that every document has an end to compare.
var never = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// A document is a record in the collection. Its _id is the record's key.
type document struct {
	Key     string    `bson:"_id"`
	Format  int32     `bson:"f"`
	Version string    `bson:"v"` // a random number that never comes again
	Expires time.Time `bson:"e"` // which MongoDB's TTL index is for; it counts, whether the document has been removed or not
	Used    time.Time `bson:"u"` // about when it was read last
	Size    int64     `bson:"n"` // what it is charged with
	Kind    int32     `bson:"kind"`
	Owner   string    `bson:"owner"`
	Label   string    `bson:"label"`
	Data    []byte    `bson:"d"`
}

// newVersion returns 16 random hexadecimal digits. That they were there before has a chance of 1 in 2^64.
func newVersion() string {
	var b [8]byte
	for i, n := 0, rand.Uint64(); i < len(b); i++ {
		b[i] = byte(n >> (8 * i))
	}
	return hex.EncodeToString(b[:])
}

func newDocument(key string, r store.Record, now time.Time) document {
	d := document{Key: key, Format: format, Version: newVersion(), Expires: never, Used: now, Size: charge(r), Kind: int32(r.Kind), Owner: r.Owner, Data: r.Data,
		Label: storetext.Label(r.Label, maxLabel)}
	if !r.Expires.IsZero() && r.Expires.Before(never) {
		d.Expires = r.Expires
	}
	return d
}

// charge is what a record counts for in Options.MaxBytes.
func charge(r store.Record) int64 { return int64(len(r.Data)) + overhead }

var errDamaged = errors.New("the document is no record")

// decode returns the record in a document, and when it was used. The error is store.ErrNewer for one that a later version of this package wrote, and errDamaged for what is no record.
func decode(raw bson.Raw) (r store.Record, used time.Time, err error) {
	var d document
	if f, ok := raw.Lookup("f").AsInt64OK(); ok && f > format {
		return store.Record{}, time.Time{}, store.ErrNewer
	}
	if raw.Lookup("d").Type != bson.TypeBinary || // the driver takes a text for bytes
		bson.Unmarshal(raw, &d) != nil || d.Format != format || d.Version == "" || len(d.Data) == 0 || d.Expires.IsZero() || d.Kind < 0 || d.Kind > 255 || d.Owner != "" && !storetext.ValidKey(d.Owner) {
		return store.Record{}, time.Time{}, errDamaged
	}
	r = store.Record{Data: d.Data, Version: d.Version, Kind: store.Kind(d.Kind), Owner: d.Owner}
	if d.Expires.Before(never) {
		r.Expires = d.Expires
	}
	return r, d.Used, nil
}

// over reports whether a record's time is over.
func over(r store.Record, now time.Time) bool { return !r.Expires.IsZero() && !r.Expires.After(now) }
