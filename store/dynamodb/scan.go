package dynamodb

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// Range implements [store.Ranger]. It reads the whole table, a page of 1 MB at a time.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	in := s.scanInput("kind = :kind AND f = :f AND (attribute_not_exists(e) OR e > :now)", item{
		":kind": number(int64(kind)), ":f": number(format), ":now": number(time.Now().UnixMilli()),
	})
	return s.scan(ctx, "range", in, func(page []item) (bool, error) {
		for _, it := range page {
			key, r, err := s.listed(ctx, it)
			if err != nil {
				return false, err
			}
			if r.Version != "" && r.Kind == kind && !f(key, r) {
				return false, nil
			}
		}
		return true, nil
	})
}

// listed returns the record of an item that a scan has found, or the zero Record if it is none, or none any more, that this store reads:
// one that is larger, or of a later version, keeps no other from being listed.
func (s *Store) listed(ctx context.Context, it item) (key string, r store.Record, err error) {
	id, _ := textIn(it, attrID)
	h, err := decode(id, it)
	if err != nil || h.over(time.Now()) || len(id) <= len(s.prefix) || !storetext.ValidKey(id[len(s.prefix):]) {
		return "", store.Record{}, nil
	}
	if s.checkSize(max(h.size, len(h.record.Data))) != nil {
		return "", store.Record{}, nil
	}
	if h.record.Data != nil {
		return id[len(s.prefix):], h.record, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	r, err = s.read(ctx, id, !s.opt.EventuallyConsistent)
	if errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrNewer) { // replaced meanwhile
		return "", store.Record{}, nil
	}
	return id[len(s.prefix):], r, s.wrap(ctx, "range", err)
}

// Clear implements [store.Clearer]. It reads the whole table.
func (s *Store) Clear(ctx context.Context) error {
	in := s.scanInput("", item{})
	in.ProjectionExpression = aws.String(attrID)
	return s.scan(ctx, "clear", in, func(page []item) (bool, error) {
		ids := make([]string, len(page))
		for i, it := range page {
			ids[i], _ = textIn(it, attrID)
		}
		ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout*time.Duration(1+len(ids)/maxWrites))
		defer cancel()
		return true, s.wrap(ctx, "clear", s.batchDelete(ctx, ids))
	})
}

// DeleteExpired implements [store.Expirer]. It reads the whole table, and removes chunks as well whose record is gone.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	in := s.scanInput("(e <= :now OR attribute_not_exists(f) AND #ttl <= :seconds)", item{":now": number(now.UnixMilli()), ":seconds": number(now.Unix())})
	in.ExpressionAttributeNames = map[string]string{"#ttl": attrTTL} // a reserved word
	in.ProjectionExpression = aws.String("id, v, f")
	deleted := 0
	err := s.scan(ctx, "delete expired", in, func(page []item) (bool, error) {
		n, err := s.deletePage(ctx, page, now)
		deleted += n
		return true, s.wrap(ctx, "delete expired", err)
	})
	return deleted, err
}

// sweepers is the number of deletions that DeleteExpired has under way at once.
const sweepers = 8

// deletePage deletes the heads of a page that are still over, and all of its chunks. It returns how many heads there were.
func (s *Store) deletePage(ctx context.Context, page []item, now time.Time) (heads int, err error) {
	var mu sync.Mutex // guards heads and err
	var all sync.WaitGroup
	slots := make(chan struct{}, sweepers)
	var chunks []string
	for _, it := range page {
		id, _ := textIn(it, attrID)
		f, isHead := numberIn(it, attrFormat)
		if !isHead {
			chunks = append(chunks, id)
			continue
		}
		if f > format || ctx.Err() != nil {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			gone, e := s.deleteOver(ctx, id, it, now)
			mu.Lock()
			defer mu.Unlock()
			if gone {
				heads++
			}
			if e != nil {
				err = e
			}
		})
	}
	all.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = s.batchDelete(ctx, chunks)
	}
	return heads, err
}

// deleteOver deletes a head that is still over, and reports whether it did.
func (s *Store) deleteOver(ctx context.Context, id string, it item, now time.Time) (bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.table, Key: item{attrID: text(id)},
		ConditionExpression: aws.String("v = :v AND e <= :now"), ExpressionAttributeValues: item{":v": it[attrVersion], ":now": number(now.UnixMilli())},
	}, s.call)
	if isConflict(err) {
		return false, nil
	}
	return err == nil, err
}

// scanInput returns a scan of this namespace.
func (s *Store) scanInput(filter string, values item) *dynamodb.ScanInput {
	values[":prefix"] = text(s.prefix)
	expression := "begins_with(id, :prefix)"
	if filter != "" {
		expression += " AND " + filter
	}
	consistent := !s.opt.EventuallyConsistent
	return &dynamodb.ScanInput{TableName: &s.table, ConsistentRead: &consistent, FilterExpression: &expression, ExpressionAttributeValues: values}
}

// scan calls f with each page until it returns false or an error, which scan returns as it is.
func (s *Store) scan(ctx context.Context, op string, in *dynamodb.ScanInput, f func(page []item) (bool, error)) error {
	for {
		out, err := s.page(ctx, in)
		if err != nil {
			return s.wrap(ctx, op, err)
		}
		if more, err := f(out.Items); err != nil || !more || len(out.LastEvaluatedKey) == 0 {
			return err
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func (s *Store) page(ctx context.Context, in *dynamodb.ScanInput) (*dynamodb.ScanOutput, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.client.Scan(ctx, in, s.call)
}
