package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := storetext.CheckKey("mongodb", key); err != nil {
		return store.Record{}, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	raw, err := again(ctx, func() (bson.Raw, error) {
		return s.collection.FindOne(ctx, bson.D{{Key: "_id", Value: key}}, options.FindOne().SetProjection(unlabeled)).Raw()
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return store.Record{}, nil
	}
	if err != nil {
		return store.Record{}, wrap(ctx, "get", err)
	}
	r, stale, err := s.found(ctx, key, raw)
	if stale {
		s.touch([]string{key})
	}
	return r, wrap(ctx, "get", err)
}

var unlabeled = bson.D{{Key: "label", Value: 0}}

// found returns the record in the document of a key, and reports whether its use is to be noted. A document that is no record is deleted, as Put could not replace it.
func (s *Store) found(ctx context.Context, key string, raw bson.Raw) (r store.Record, stale bool, err error) {
	r, used, err := decode(raw)
	now := time.Now()
	switch {
	case errors.Is(err, errDamaged):
		return store.Record{}, false, s.discard(ctx, key, raw)
	case err != nil:
		return store.Record{}, false, err
	case over(r, now):
		return store.Record{}, false, nil
	case len(r.Data) > s.opt.MaxRecordBytes:
		return store.Record{}, false, store.ErrTooLarge
	}
	return r, s.room.stale(used, now), nil
}

// discard deletes a document that is no record, unless it has been replaced meanwhile.
func (s *Store) discard(ctx context.Context, key string, raw bson.Raw) error {
	filter := bson.D{{Key: "_id", Value: key}, {Key: "v", Value: bson.D{{Key: "$exists", Value: false}}}}
	if v, err := raw.LookupErr("v"); err == nil {
		filter[1].Value = v
	}
	_, err := s.deleteOne(ctx, filter)
	return err
}

// GetMulti implements [store.MultiGetter].
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	for _, key := range keys {
		if err := storetext.CheckKey("mongodb", key); err != nil {
			return nil, err
		}
	}
	records := make([]store.Record, len(keys))
	if len(keys) == 0 {
		return records, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	wanted := slices.Compact(slices.Sorted(slices.Values(keys)))
	docs, err := s.find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: wanted}}}}, options.Find().SetProjection(unlabeled))
	if err != nil {
		return nil, wrap(ctx, "get", err)
	}
	whole := make(map[string]store.Record, len(docs))
	var stale []string
	for _, raw := range docs {
		key, _ := raw.Lookup("_id").StringValueOK()
		r, isStale, err := s.found(ctx, key, raw)
		if err != nil {
			return nil, wrap(ctx, "get", err)
		}
		if whole[key] = r; isStale {
			stale = append(stale, key)
		}
	}
	s.touch(stale)
	taken := make(map[string]bool, len(keys))
	for i, key := range keys {
		records[i] = whole[key]
		if taken[key] { // data belongs to one record
			records[i].Data = slices.Clone(records[i].Data)
		}
		taken[key] = true
	}
	return records, nil
}

// find returns all documents that a filter finds, which must be few.
func (s *Store) find(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]bson.Raw, error) {
	return again(ctx, func() ([]bson.Raw, error) {
		cursor, err := s.collection.Find(ctx, filter, o)
		if err != nil {
			return nil, err
		}
		var docs []bson.Raw
		err = cursor.All(ctx, &docs)
		return docs, err
	})
}

// again reads a second time if the first one failed while there is time left: one connection that ends has the driver drop all that it has,
// under the calls that use them. The driver itself reads again only where a server says that it knows retryable reads.
func again[T any](ctx context.Context, read func() (T, error)) (T, error) {
	result, err := read()
	if err != nil && ctx.Err() == nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return read()
	}
	return result, err
}

// change makes a change. Where the driver dropped its connections before it had sent the change, which happens to all calls that are about to take one
// when another call's or its own heartbeat's ends, change makes it anew: the driver does so itself only where a server says that it knows retryable writes.
// A change that may have been sent is made once.
func change[T any](ctx context.Context, do func() (T, error)) (T, error) {
	result, err := do()
	for range 3 {
		if unsent := interface{ Retryable() bool }(nil); !errors.As(err, &unsent) || !unsent.Retryable() || ctx.Err() != nil {
			break
		}
		result, err = do() // waits until the driver sees a server again
	}
	return result, err
}

// Put implements [store.Store]. It is one change of one document, by a filter that names the version.
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	if err := storetext.CheckKey("mongodb", key); err != nil {
		return err
	}
	switch {
	case r.Owner != "" && !storetext.ValidKey(r.Owner):
		return fmt.Errorf("mongodb: the owner %.140q is not a key", r.Owner)
	case len(r.Data) == 0:
		return errors.New("mongodb: a record has at least one byte")
	case len(r.Data) > s.opt.MaxRecordBytes || charge(r) > s.opt.MaxBytes:
		return fmt.Errorf("mongodb: put: %w", store.ErrTooLarge)
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if now := time.Now(); !r.Expires.IsZero() && !r.Expires.After(now) {
		return wrap(ctx, "put", s.bury(ctx, key, r.Version, now))
	}
	end, err := s.reserve(ctx, key, r)
	if err != nil {
		return wrap(ctx, "put", err)
	}
	now := time.Now()
	err = s.replace(ctx, newDocument(key, r, now), r.Version, now)
	end(err)
	return wrap(ctx, "put", err)
}

// replace writes a document in the place of a version. What is expired counts as absent, whether it has been removed or not.
func (s *Store) replace(ctx context.Context, d document, version string, now time.Time) error {
	filter := bson.D{{Key: "_id", Value: d.Key}, {Key: "f", Value: bson.D{{Key: "$lte", Value: format}}}}
	if version == "" {
		_, err := change(ctx, func() (*mongo.InsertOneResult, error) { return s.collection.InsertOne(ctx, d) })
		if err == nil || !mongo.IsDuplicateKeyError(err) {
			return err
		}
		filter = append(filter, bson.E{Key: "e", Value: bson.D{{Key: "$lte", Value: now}}})
	} else {
		filter = append(filter, bson.E{Key: "v", Value: version}, bson.E{Key: "e", Value: bson.D{{Key: "$gt", Value: now}}})
	}
	result, err := change(ctx, func() (*mongo.UpdateResult, error) { return s.collection.ReplaceOne(ctx, filter, d) })
	if err != nil || result.MatchedCount > 0 {
		return err
	}
	return s.conflict(ctx, d.Key, func(bool) error { return store.ErrConflict })
}

// bury has nothing be there in the place of a version, which is what a Put of an expired record comes to.
func (s *Store) bury(ctx context.Context, key, version string, now time.Time) error {
	if version == "" {
		return s.conflict(ctx, key, func(live bool) error {
			if live {
				return store.ErrConflict
			}
			return nil
		})
	}
	result, err := s.deleteOne(ctx, bson.D{{Key: "_id", Value: key}, {Key: "v", Value: version}, {Key: "e", Value: bson.D{{Key: "$gt", Value: now}}},
		{Key: "f", Value: bson.D{{Key: "$lte", Value: format}}}})
	if err != nil || result.DeletedCount > 0 {
		return err
	}
	return s.conflict(ctx, key, func(bool) error { return store.ErrConflict })
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, key, version string) error {
	if err := storetext.CheckKey("mongodb", key); err != nil {
		return err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	filter := bson.D{{Key: "_id", Value: key}}
	if version == "" {
		_, err := s.deleteOne(ctx, filter)
		return wrap(ctx, "delete", err)
	}
	filter = append(filter, bson.E{Key: "v", Value: version}, bson.E{Key: "f", Value: bson.D{{Key: "$lte", Value: format}}})
	result, err := s.deleteOne(ctx, filter)
	if err == nil && result.DeletedCount == 0 {
		err = s.conflict(ctx, key, func(live bool) error {
			if live {
				return store.ErrConflict
			}
			return nil
		})
	}
	return wrap(ctx, "delete", err)
}

func (s *Store) deleteOne(ctx context.Context, filter bson.D) (*mongo.DeleteResult, error) {
	return change(ctx, func() (*mongo.DeleteResult, error) { return s.collection.DeleteOne(ctx, filter) })
}

func (s *Store) deleteMany(ctx context.Context, filter bson.D) (*mongo.DeleteResult, error) {
	return change(ctx, func() (*mongo.DeleteResult, error) { return s.collection.DeleteMany(ctx, filter) })
}

// conflict returns what it means that a filter found nothing: store.ErrNewer, or what meaning says, which is told if a record is there whose time is not over.
func (s *Store) conflict(ctx context.Context, key string, meaning func(live bool) error) error {
	raw, err := s.collection.FindOne(ctx, bson.D{{Key: "_id", Value: key}}, options.FindOne().SetProjection(bson.D{{Key: "f", Value: 1}, {Key: "e", Value: 1}})).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return meaning(false)
	}
	if err != nil {
		return err
	}
	if f, ok := raw.Lookup("f").AsInt64OK(); ok && f > format {
		return store.ErrNewer
	}
	e, ok := raw.Lookup("e").TimeOK()
	return meaning(!ok || e.After(time.Now()))
}
