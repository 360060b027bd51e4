package dynamodb

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// What DynamoDB takes in one call.
const (
	maxGets   = 100
	maxWrites = 25
)

// GetMulti implements [store.MultiGetter].
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	ids := make([]string, len(keys))
	for i, key := range keys {
		if err := storetext.CheckKey("dynamodb", key); err != nil {
			return nil, err
		}
		ids[i] = s.prefix + key
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	records, err := s.readAll(ctx, ids)
	if err != nil {
		return nil, s.wrap(ctx, "get", err)
	}
	return records, nil
}

// readAll reads the heads with these ids in one go, and then all of their chunks. What is not whole then, it reads alone: that finds out why.
func (s *Store) readAll(ctx context.Context, ids []string) ([]store.Record, error) {
	consistent := !s.opt.EventuallyConsistent
	items, err := s.batchGet(ctx, ids, consistent)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	heads := make(map[string]head, len(items))
	var chunks []string
	for id, it := range items {
		if h, err := decode(id, it); err == nil && h.record.Data == nil && h.size <= s.opt.MaxRecordBytes && !h.over(now) {
			heads[id] = h
			chunks = append(chunks, chunkIDs(id, h.record.Version)...)
		}
	}
	found, err := s.batchGet(ctx, chunks, consistent)
	if err != nil {
		return nil, err
	}
	whole := make(map[string]store.Record, len(items))
	for id, it := range items {
		if whole[id], err = s.assemble(ctx, id, it, heads[id], found); err != nil {
			return nil, err
		}
	}
	records, taken := make([]store.Record, len(ids)), make(map[string]bool, len(ids))
	for i, id := range ids {
		records[i] = whole[id]
		if taken[id] { // data belongs to one record
			records[i].Data = slices.Clone(records[i].Data)
		}
		taken[id] = true
	}
	return records, nil
}

// assemble returns the record of an item, whose chunks, if it has any, are among those found.
func (s *Store) assemble(ctx context.Context, id string, it item, chunked head, found map[string]item) (store.Record, error) {
	if chunked.size > 0 {
		if data, ok := chunked.join(id, found); ok {
			chunked.record.Data = data
			return chunked.record, nil
		}
		return s.read(ctx, id, true)
	}
	switch h, err := decode(id, it); {
	case err != nil:
		return s.read(ctx, id, true)
	case h.over(time.Now()):
		return store.Record{}, nil
	case h.record.Data == nil: // larger than the store reads
		return store.Record{}, store.ErrTooLarge
	default:
		return h.record, s.checkSize(len(h.record.Data))
	}
}

// batchGet returns the items with these ids, by id. What DynamoDB puts off, because of its throughput or of the 16 MB that a reply has, it asks for until the context is done.
func (s *Store) batchGet(ctx context.Context, ids []string, consistent bool) (map[string]item, error) {
	found := make(map[string]item, len(ids))
	wanted := slices.Compact(slices.Sorted(slices.Values(ids)))
	var pause pause
	for group := range slices.Chunk(wanted, maxGets) {
		keys := make([]item, len(group))
		for i, id := range group {
			keys[i] = item{attrID: text(id)}
		}
		for len(keys) > 0 {
			out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: keys, ConsistentRead: &consistent}},
			}, s.call)
			if err != nil {
				return nil, err
			}
			for _, it := range out.Responses[s.table] {
				if id, ok := textIn(it, attrID); ok {
					found[id] = it
				}
			}
			left := out.UnprocessedKeys[s.table].Keys
			if err := pause.unless(ctx, len(left) < len(keys)); err != nil {
				return nil, err
			}
			keys = left
		}
	}
	return found, nil
}

// putChunks writes the chunks of a record.
func (s *Store) putChunks(ctx context.Context, chunks []item) error {
	writes := make([]types.WriteRequest, len(chunks))
	for i, chunk := range chunks {
		writes[i].PutRequest = &types.PutRequest{Item: chunk}
	}
	return s.batchWrite(ctx, writes)
}

// dropChunks deletes chunks that no head names any more. If that fails, they end by their TTL.
func (s *Store) dropChunks(ctx context.Context, ids []string) {
	_ = s.batchDelete(ctx, ids)
}

func (s *Store) batchDelete(ctx context.Context, ids []string) error {
	writes := make([]types.WriteRequest, len(ids))
	for i, id := range ids {
		writes[i].DeleteRequest = &types.DeleteRequest{Key: item{attrID: text(id)}}
	}
	return s.batchWrite(ctx, writes)
}

// batchWrite makes writes, which must be of different items. What DynamoDB puts off it sends again until the context is done.
func (s *Store) batchWrite(ctx context.Context, writes []types.WriteRequest) error {
	var pause pause
	for group := range slices.Chunk(writes, maxWrites) {
		for len(group) > 0 {
			out, err := s.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.table: group}}, s.call)
			if err != nil {
				return err
			}
			left := out.UnprocessedItems[s.table]
			if err := pause.unless(ctx, len(left) < len(group)); err != nil {
				return err
			}
			group = left
		}
	}
	return nil
}

// A pause is how long to wait before DynamoDB is asked again for what it has put off.
type pause time.Duration

const (
	firstPause = pause(10 * time.Millisecond)
	lastPause  = pause(200 * time.Millisecond)
)

// unless waits, each time longer, if there was no progress. It returns the context's error once that is done.
func (p *pause) unless(ctx context.Context, progress bool) error {
	if progress {
		*p = 0
		return ctx.Err()
	}
	*p = min(max(2**p, firstPause), lastPause)
	timer := time.NewTimer(time.Duration(*p))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
