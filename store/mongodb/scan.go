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

// Clear implements [store.Clearer].
func (s *Store) Clear(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.collection.DeleteMany(ctx, bson.D{})
	s.room.forget()
	return wrap(ctx, "clear", err)
}

// DeleteExpired implements [store.Expirer]. It deletes some hundreds of documents at a time.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	over := bson.E{Key: "e", Value: bson.D{{Key: "$lte", Value: now}}}
	ours := bson.E{Key: "f", Value: bson.D{{Key: "$lte", Value: format}}}
	deleted := 0
	for {
		n, more, err := s.deleteSome(ctx, bson.D{over, ours}, options.Find().SetLimit(batch), over)
		deleted += n
		if err != nil || !more {
			return deleted, wrap(ctx, "delete expired", err)
		}
	}
}

// deleteSome deletes the documents that a query finds and for which a condition still holds. more reports whether there may be others.
func (s *Store) deleteSome(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder, still bson.E) (deleted int, more bool, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	docs, err := s.find(ctx, filter, o.SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil || len(docs) == 0 {
		return 0, false, err
	}
	ids := make(bson.A, len(docs))
	for i, raw := range docs {
		ids[i] = raw.Lookup("_id")
	}
	result, err := s.collection.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, still})
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
