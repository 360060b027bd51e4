package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

const (
	pageRecords = 32  // that Range reads at once
	batch       = 500 // documents that are deleted at once
)

// Range implements [store.Ranger]. It reads a page of records at a time, by an index.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	for last := ""; ; {
		page, err := s.page(ctx, kind, last)
		if err != nil {
			return err
		}
		for _, raw := range page {
			key, _ := raw.Lookup("_id").StringValueOK()
			r, _, err := decode(raw)
			last = key
			if err != nil || over(r, time.Now()) || !storetext.ValidKey(key) || len(r.Data) > s.opt.MaxRecordBytes {
				continue
			}
			if !f(key, r) {
				return nil
			}
		}
		if len(page) < pageRecords || last == "" {
			return nil
		}
	}
}

// page returns the documents of a kind that follow a key.
func (s *Store) page(ctx context.Context, kind store.Kind, last string) ([]bson.Raw, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	filter := bson.D{{Key: "kind", Value: int32(kind)}, {Key: "_id", Value: bson.D{{Key: "$gt", Value: last}}}}
	page, err := s.find(ctx, filter, options.Find().SetProjection(unlabeled).SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(pageRecords))
	return page, wrap(ctx, "range", err)
}

// Clear implements [store.Clearer]. It deletes some hundreds of documents at a time. If it returns an error, some of them may be gone.
func (s *Store) Clear(ctx context.Context) error {
	_, err := s.deleteAll(ctx, "clear", bson.D{})
	s.room.forget()
	return err
}

// DeleteExpired implements [store.Expirer]. It deletes some hundreds of documents at a time.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	return s.deleteAll(ctx, "delete expired", bson.D{
		{Key: "e", Value: bson.D{{Key: "$lte", Value: now}}}, {Key: "f", Value: bson.D{{Key: "$lte", Value: format}}},
	})
}

// deleteAll deletes what a filter finds in batches, each of which is a call that Options.Timeout bounds, and returns how many documents there were.
func (s *Store) deleteAll(ctx context.Context, op string, filter bson.D) (deleted int, err error) {
	for more := true; more; {
		var n int
		n, more, err = s.deleteSome(ctx, filter)
		deleted += n
		if err != nil {
			return deleted, wrap(ctx, op, err)
		}
	}
	return deleted, nil
}

// deleteSome deletes a batch of what a filter finds. more reports whether there may be others.
func (s *Store) deleteSome(ctx context.Context, filter bson.D) (deleted int, more bool, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	docs, err := s.find(ctx, filter, options.Find().SetLimit(batch).SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil || len(docs) == 0 {
		return 0, false, err
	}
	ids := make(bson.A, len(docs))
	for i, raw := range docs {
		ids[i] = raw.Lookup("_id")
	}
	// The filter once more, for what has been replaced meanwhile.
	result, err := s.deleteMany(ctx, append(bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, filter...))
	if err != nil {
		return 0, false, err
	}
	return int(result.DeletedCount), len(docs) == batch, nil
}

// Size implements [store.Sizer]: the records, and their bytes with 512 more for each. It reads an index of all of them.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	records, err = s.collection.CountDocuments(ctx, bson.D{})
	if err == nil {
		bytes, err = s.bytes(ctx)
	}
	if err != nil {
		return 0, 0, wrap(ctx, "size", err)
	}
	return records, bytes, nil
}

// bytes returns what all records are charged with. The condition, which holds for all, has MongoDB read the index of u and n instead of the documents.
// FerretDB adds up one field in one command, so there is no count beside it.
func (s *Store) bytes(ctx context.Context) (int64, error) {
	cursor, err := s.collection.Aggregate(ctx, bson.A{
		bson.D{{Key: "$match", Value: bson.D{{Key: "u", Value: bson.D{{Key: "$gte", Value: time.Unix(0, 0)}}}}}},
		bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: nil}, {Key: "bytes", Value: bson.D{{Key: "$sum", Value: "$n"}}}}}},
	})
	if err != nil {
		return 0, err
	}
	var sums []bson.Raw
	if err := cursor.All(ctx, &sums); err != nil || len(sums) == 0 {
		return 0, err
	}
	n, _ := sums[0].Lookup("bytes").AsInt64OK()
	return n, nil
}
