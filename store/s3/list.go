package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/plyhttp/ply/store"
)

const page = 1000 // objects in one answer of the server, and in one deletion

// item is an object in a list.
type item struct {
	key  string
	size int64
}

// list calls f with the objects of the store, the first limit of them in each answer of the server, from the one after a key on, until f does not want more.
// Nothing is under way while f runs.
func (s *Store) list(ctx context.Context, limit int32, after string, f func([]item) (more bool, err error)) error {
	in := &awss3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &s.prefix, MaxKeys: &limit, Delimiter: aws.String("/")} // what is deeper is of others
	if after != "" {
		in.StartAfter = aws.String(s.name(after))
	}
	for {
		var out *awss3.ListObjectsV2Output
		err := s.request(ctx, func(ctx context.Context) (err error) {
			out, err = s.client.ListObjectsV2(ctx, in, s.configure)
			return err
		})
		if err != nil {
			return err
		}
		items := make([]item, 0, len(out.Contents))
		for _, object := range out.Contents {
			if key := s.key(aws.ToString(object.Key)); key != "" {
				items = append(items, item{key, aws.ToInt64(object.Size)})
			}
		}
		if more, err := f(items); !more || err != nil {
			return err
		}
		if !aws.ToBool(out.IsTruncated) {
			return nil
		}
		if next := aws.ToString(out.NextContinuationToken); next == "" || next == aws.ToString(in.ContinuationToken) {
			return errors.New("the server's list does not go on")
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}

// small is up to which size Range reads an object whole, though it may be of another kind.
const small = 16 << 10

// firstLine is the range of an object that its line is in.
var firstLine = fmt.Sprintf("bytes=0-%d", maxLine-1)

// Range implements [store.Ranger]. It reads the list and the objects, so that it costs a request for each record of the store, of whatever kind, and a second one
// for a large record of this kind.
func (s *Store) Range(ctx context.Context, kind store.Kind, f func(key string, r store.Record) bool) error {
	return fail("range", s.list(ctx, page, "", func(items []item) (bool, error) {
		for len(items) > 0 {
			n := min(len(items), parallel)
			records := make([]store.Record, n)
			err := each(ctx, n, func(ctx context.Context, i int) (err error) {
				records[i], err = s.ofKind(ctx, kind, items[i])
				return err
			})
			if err != nil {
				return false, err
			}
			for i, r := range records {
				if r.Version != "" && !f(items[i].key, r) {
					return false, nil
				}
			}
			items = items[n:]
		}
		return true, nil
	}))
}

// ofKind returns a record if it is of this kind, else the zero Record. One that cannot be read, because it is too large or of a later version, is left out.
func (s *Store) ofKind(ctx context.Context, kind store.Kind, it item) (store.Record, error) {
	if it.size > small {
		h, is, _, err := s.readLine(ctx, it)
		if err != nil || is != record || h.kind != kind {
			return store.Record{}, err
		}
	}
	r, err := s.get(ctx, it.key)
	if errors.Is(err, store.ErrNewer) || errors.Is(err, store.ErrTooLarge) || err == nil && r.Kind != kind {
		return store.Record{}, nil
	}
	return r, err
}

// readLine reads the line of an object.
func (s *Store) readLine(ctx context.Context, it item) (h head, is state, etag string, err error) {
	if it.size == 0 { // it has no range
		return head{}, foreign, "", nil
	}
	got, err := s.fetch(ctx, s.name(it.key), firstLine, maxLine)
	if statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
		err = nil // it is empty by now
	}
	if err != nil || got.etag == "" {
		return head{}, absent, "", err
	}
	h, is = parse(it.key, got.value)
	return h, is, got.etag, nil
}

// Clear implements [store.Clearer]. It takes two requests for each 1,000 objects, and deletes those of its prefix whose names are a record's, and nothing else.
func (s *Store) Clear(ctx context.Context) error {
	return fail("clear", s.list(ctx, page, "", func(items []item) (bool, error) {
		if len(items) == 0 {
			return true, nil
		}
		err := s.removeAll(ctx, items)
		if statusOf(err) != 0 {
			// Not every server has it, or takes the checksum that the SDK sends with it.
			err = each(ctx, len(items), func(ctx context.Context, i int) error { return s.remove(ctx, s.name(items[i].key), "") })
		}
		return err == nil, err
	}))
}

func (s *Store) removeAll(ctx context.Context, items []item) error {
	objects := make([]types.ObjectIdentifier, len(items))
	for i, it := range items {
		objects[i].Key = aws.String(s.name(it.key))
	}
	in := &awss3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)}}
	return s.request(ctx, func(ctx context.Context) error {
		out, err := s.client.DeleteObjects(ctx, in, s.configure)
		if err != nil || len(out.Errors) == 0 {
			return err
		}
		refused := &refusal{status: http.StatusOK}
		if c := aws.ToString(out.Errors[0].Code); codes.MatchString(c) {
			refused.code = c
		}
		return fmt.Errorf("%d of %d objects are not deleted: %w", len(out.Errors), len(items), refused)
	})
}

// DeleteExpired implements [store.Expirer]. The server knows of no times, so that it costs a request for each object, and takes as long: in a large store it is better to have
// a lifecycle rule of the bucket do it. If the context ends, the next call continues where this one stopped.
// Objects of records that were deleted go as well, and are not counted. One that the server refuses to read or to delete is passed over, and the error comes in the end.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time) (int, error) {
	s.mu.Lock()
	after := s.swept
	s.mu.Unlock()
	count := 0
	var refused error
	err := s.list(ctx, page, after, func(items []item) (bool, error) {
		for len(items) > 0 {
			n := min(len(items), parallel)
			swept, err := s.sweepAll(ctx, items[:n], now)
			count += swept
			switch status := statusOf(err); {
			case status/100 == 4 && status != http.StatusTooManyRequests:
				refused = err
			case err != nil:
				return false, err
			}
			after, items = items[n-1].key, items[n:]
		}
		return true, nil
	})
	if err == nil {
		after, err = "", refused // the next one begins anew
	}
	s.mu.Lock()
	s.swept = after
	s.mu.Unlock()
	return count, fail("delete expired", err)
}

// sweepAll sweeps some objects at once, and returns how many were over. That the server refuses one keeps it from none of the others.
func (s *Store) sweepAll(ctx context.Context, items []item, now time.Time) (count int, _ error) {
	over, refused := make([]bool, len(items)), make([]error, len(items))
	err := each(ctx, len(items), func(ctx context.Context, i int) (err error) {
		over[i], err = s.sweep(ctx, items[i], now)
		if statusOf(err)/100 == 4 {
			refused[i], err = err, nil
		}
		return err
	})
	for i := range items {
		if over[i] {
			count++
		}
		err = cmp.Or(err, refused[i])
	}
	return count, err
}

// sweep deletes an object if its record is over or deleted, and reports whether it was over. It asks the server to delete no other one: where that is ignored,
// a record that is put at this very moment may go, as if it had been evicted.
func (s *Store) sweep(ctx context.Context, it item, now time.Time) (over bool, err error) {
	h, is, etag, err := s.readLine(ctx, it)
	over = is == record && h.over(now)
	if err != nil || !over && is != deleted {
		return false, err
	}
	err = s.remove(ctx, s.name(it.key), etag)
	if status := statusOf(err); status == http.StatusNotImplemented || status == http.StatusBadRequest {
		err = s.remove(ctx, s.name(it.key), "")
	}
	if errors.Is(err, errPrecondition) || errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return over && err == nil, err
}

// Size implements [store.Sizer]. It takes a request for each 1,000 objects, and counts those of expired and deleted records until they are swept.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	err = s.list(ctx, page, "", func(items []item) (bool, error) {
		for _, it := range items {
			records++
			bytes += it.size
		}
		return true, nil
	})
	return records, bytes, fail("size", err)
}
