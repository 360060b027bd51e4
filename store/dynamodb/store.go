package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := storetext.CheckKey("dynamodb", key); err != nil {
		return store.Record{}, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	r, err := s.read(ctx, s.prefix+key, !s.opt.EventuallyConsistent)
	return r, s.wrap(ctx, "get", err)
}

// read returns the record whose head has this id.
//
// Between a head and its chunks another process may replace the record and delete the chunks. So where a chunk is missing the head is read again, consistently.
// If it is still the same, the chunk is lost: the record is deleted, as no one could replace it otherwise.
func (s *Store) read(ctx context.Context, id string, consistent bool) (store.Record, error) {
	incomplete := "" // the version that had not all of its chunks when it was read consistently
	for {
		it, err := s.item(ctx, id, consistent)
		if err != nil || it == nil {
			return store.Record{}, err
		}
		h, err := decode(id, it)
		if errors.Is(err, errDamaged) {
			return store.Record{}, s.discard(ctx, id, it)
		}
		if err != nil || h.over(time.Now()) {
			return store.Record{}, err
		}
		if h.record.Data != nil {
			return h.record, s.checkSize(len(h.record.Data))
		}
		if err := s.checkSize(h.size); err != nil {
			return store.Record{}, err
		}
		found, err := s.batchGet(ctx, chunkIDs(id, h.record.Version), consistent)
		if err != nil {
			return store.Record{}, err
		}
		data, ok := h.join(id, found)
		switch {
		case ok:
			h.record.Data = data
			return h.record, nil
		case h.record.Version == incomplete:
			return store.Record{}, s.discard(ctx, id, it)
		case consistent:
			incomplete = h.record.Version
		}
		consistent = true
	}
}

func (s *Store) checkSize(n int) error {
	if n > s.opt.MaxRecordBytes {
		return store.ErrTooLarge
	}
	return nil
}

// item returns the item with an id, or nil.
func (s *Store) item(ctx context.Context, id string, consistent bool) (item, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: item{attrID: text(id)}, ConsistentRead: &consistent,
	}, s.call)
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// discard deletes a head that is damaged or lacks a chunk, unless it has been replaced meanwhile.
func (s *Store) discard(ctx context.Context, id string, it item) error {
	in := &dynamodb.DeleteItemInput{TableName: &s.table, Key: item{attrID: text(id)}, ConditionExpression: aws.String("attribute_not_exists(v)")}
	if v, ok := it[attrVersion]; ok {
		in.ConditionExpression, in.ExpressionAttributeValues = aws.String("v = :v"), item{":v": v}
	}
	_, err := s.client.DeleteItem(ctx, in, s.call)
	if isConflict(err) {
		return nil
	}
	return err
}

// Put implements [store.Store].
//
// The chunks of a large record are written before its head and those of its predecessor deleted after it, so that a head that is there has had all its chunks.
// What a failure leaves behind ends by its TTL.
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	if err := storetext.CheckKey("dynamodb", key); err != nil {
		return err
	}
	switch {
	case r.Owner != "" && !storetext.ValidKey(r.Owner):
		return fmt.Errorf("dynamodb: the owner %.140q is not a key", r.Owner)
	case len(r.Data) == 0:
		return errors.New("dynamodb: a record has at least one byte")
	case len(r.Data) > s.opt.MaxRecordBytes:
		return fmt.Errorf("dynamodb: put: %w", store.ErrTooLarge)
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	now, id := time.Now(), s.prefix+key
	if !r.Expires.IsZero() && !r.Expires.After(now) {
		return s.wrap(ctx, "put", s.remove(ctx, id, r.Version, replaces(r.Version, now)))
	}
	return s.wrap(ctx, "put", s.replace(ctx, id, r, now))
}

// replace writes a record in the place of the version r.Version.
func (s *Store) replace(ctx context.Context, id string, r store.Record, now time.Time) error {
	head, chunks := s.encode(id, r, now)
	if err := s.putChunks(ctx, chunks); err != nil {
		return err
	}
	c := replaces(r.Version, now)
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: head, ConditionExpression: &c.expression, ExpressionAttributeValues: c.values,
	}, s.call)
	made, _ := textIn(head, attrVersion)
	if isConflict(err) {
		err = s.conflict(ctx, id, made)
	}
	switch {
	case err == nil:
		s.dropChunks(ctx, chunkIDs(id, r.Version))
	case errors.Is(err, store.ErrConflict):
		s.dropChunks(ctx, chunkIDs(id, made))
	}
	return err
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, key, version string) error {
	if err := storetext.CheckKey("dynamodb", key); err != nil {
		return err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	id := s.prefix + key
	if version != "" {
		return s.wrap(ctx, "delete", s.remove(ctx, id, version, deletes(version, time.Now())))
	}
	out, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.table, Key: item{attrID: text(id)}, ReturnValues: types.ReturnValueAllOld,
	}, s.call)
	if err == nil {
		v, _ := textIn(out.Attributes, attrVersion)
		s.dropChunks(ctx, chunkIDs(id, v))
	}
	return s.wrap(ctx, "delete", err)
}

// remove deletes a version of a record on a condition.
func (s *Store) remove(ctx context.Context, id, version string, c condition) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.table, Key: item{attrID: text(id)}, ConditionExpression: &c.expression, ExpressionAttributeValues: c.values,
	}, s.call)
	if isConflict(err) {
		return s.conflict(ctx, id, "")
	}
	if err == nil {
		s.dropChunks(ctx, chunkIDs(id, version))
	}
	return err
}

// A condition is a ConditionExpression.
type condition struct {
	expression string
	values     item
}

// replaces is the condition of a Put in the place of a version. What is expired, and what is no record, counts as absent.
func replaces(version string, now time.Time) condition {
	values := item{":now": number(now.UnixMilli()), ":f": number(format)}
	if version == "" {
		return condition{"(attribute_not_exists(v) OR e <= :now) AND (attribute_not_exists(f) OR f <= :f)", values}
	}
	values[":v"] = text(version)
	return condition{"v = :v AND (attribute_not_exists(e) OR e > :now) AND f <= :f", values}
}

// deletes is the condition of a Delete of a version.
func deletes(version string, now time.Time) condition {
	values := item{":now": number(now.UnixMilli()), ":f": number(format), ":v": text(version)}
	return condition{"(attribute_not_exists(v) OR v = :v OR e <= :now) AND (attribute_not_exists(f) OR f <= :f)", values}
}

// conflict returns what a condition that did not hold means. A call that was tried twice because its first reply got lost finds its own version, made: that is no error.
func (s *Store) conflict(ctx context.Context, id, made string) error {
	consistent := true
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, Key: item{attrID: text(id)}, ConsistentRead: &consistent, ProjectionExpression: aws.String("v, f"),
	}, s.call)
	if err != nil {
		return err
	}
	if f, _ := numberIn(out.Item, attrFormat); f > format {
		return store.ErrNewer
	}
	if v, _ := textIn(out.Item, attrVersion); v != "" && v == made {
		return nil
	}
	return store.ErrConflict
}

func isConflict(err error) bool {
	var failed *types.ConditionalCheckFailedException
	return errors.As(err, &failed)
}
