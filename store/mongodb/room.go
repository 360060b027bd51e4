package mongodb

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/plyhttp/ply/store"
)

const (
	sweepInterval = time.Minute      // between looks at what is expired, and at what other processes have written
	sweepTime     = 30 * time.Second // that a sweep may take
	indexTime     = 10 * time.Second // that making an index, or reading one, may take
	pauseTime     = time.Second      // between measurements, if one has failed
	useInterval   = time.Minute      // between notes that a record is used
	share         = 8                // a process writes MaxBytes/share before it measures again, and makes so much room at once
)

// room is what a process knows of the room in the collection: what it has written itself, and what others have as of the last measurement.
// It errs to the full side: what a Put replaces, and what is deleted or expires, counts until the next measurement.
// Measuring reads an index of all records, so it is done seldom, and in the background: no Put waits for it.
type room struct {
	most int64

	mu        sync.Mutex // guards the fields below
	held      int64      // bytes, with those of Puts that are under way
	underway  int64
	added     int64     // since the last measurement began
	meanwhile int64     // what was under way when it began, and was added since
	ended     int64     // measurements that have ended well
	known     bool      // one has, and nothing says that it is out of date
	oldest    time.Time // about the last use of the record that was used longest ago
}

// stale reports whether the use of a record is to be noted: after a minute, or, where room is short, as soon as it has come into the older half of the store.
func (r *room) stale(used, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held <= r.most/2 {
		return now.Sub(used) > useInterval
	}
	return now.Sub(used) > min(useInterval, now.Sub(r.oldest)/2)
}

// begin counts a Put that begins. due reports whether it is time to measure.
func (r *room) begin(n int64) (over int64, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += n
	r.underway += n
	r.added += n
	r.meanwhile += n
	return r.held - r.most, !r.known || r.added > r.most/share
}

// end counts the end of a Put. written is false if the server has said that it changed nothing; after a lost reply it may have.
func (r *room) end(n int64, written bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underway -= n; !written {
		r.held = max(r.held-n, r.underway)
	}
}

// measure has what is added from now on counted beside what a measurement will find.
func (r *room) measure() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.added, r.meanwhile = 0, r.underway
}

// measured ends a measurement that has found some bytes.
func (r *room) measured(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.known = bytes+r.meanwhile, true
	r.ended++
}

// forget has the collection measured again: it may be another one.
func (r *room) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = false
}

// over returns by how many bytes the store is too full, and how many measurements have ended.
func (r *room) over() (over, ended int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held - r.most, r.ended
}

// freed counts what was evicted since a number of measurements had ended. A measurement since then may have left it out already.
func (r *room) freed(e evicted, ended int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.found > 0 {
		r.oldest = e.last
	}
	switch {
	case r.ended != ended:
	case e.found == 0: // there is nothing but what is being written
		r.held = r.underway
	default:
		r.held = max(r.held-e.bytes, r.underway)
	}
}

// reserve makes room for a record, and returns what its Put has to call in the end with its error. Small records that the cache coordinates itself with need none.
func (s *Store) reserve(ctx context.Context, key string, r store.Record) (end func(error), err error) {
	n := charge(r)
	over, due := s.room.begin(n)
	if due {
		s.look()
	}
	end = func(err error) { s.room.end(n, !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNewer)) }
	if over <= 0 || r.Kind == store.KindGeneration || r.Kind == store.KindLease || r.Kind == store.KindSetup {
		return end, nil
	}
	if err := s.makeRoom(ctx, key); err != nil {
		s.room.end(n, false)
		return nil, err
	}
	return end, nil
}

// look wakes the measurer. The channel holds one such wish, so that none is lost while it works.
func (s *Store) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// measurer measures, when a Put or the sweeper asks for it, until the store is closed.
func (s *Store) measurer() {
	for {
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		if s.measure() == nil {
			continue
		}
		pause := time.NewTimer(pauseTime)
		select {
		case <-pause.C:
		case <-s.ctx.Done():
			pause.Stop()
			return
		}
	}
}

// measure counts what the collection holds, and makes room if others have filled it.
func (s *Store) measure() error {
	ctx, cancel := context.WithTimeout(s.ctx, indexTime)
	defer cancel()
	s.room.measure()
	bytes, err := s.bytes(ctx)
	if err != nil {
		return err
	}
	s.room.measured(bytes)
	ctx, cancel = s.bounded(s.ctx)
	defer cancel()
	return s.makeRoom(ctx, "")
}

// makeRoom deletes what was used longest ago, but not what is under key, if the store is too full. One call of a process does so at a time,
// and holds up others no longer than its own context lasts.
func (s *Store) makeRoom(ctx context.Context, key string) error {
	select {
	case s.evicting <- struct{}{}:
		defer func() { <-s.evicting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		over, ended := s.room.over()
		if over <= 0 {
			return nil
		}
		e, err := s.evict(ctx, key, over+s.room.most/share)
		if err != nil {
			return err
		}
		s.room.freed(e, ended)
		if e.found == 0 {
			return nil
		}
	}
}

// evicted is what came of an eviction.
type evicted struct {
	found int       // records that were used longest ago
	bytes int64     // of those that were deleted, or less: some may have been used or replaced meanwhile
	last  time.Time // use of any of them
}

// evict deletes some of what was used longest ago, and no more than is needed. What is used meanwhile stays.
func (s *Store) evict(ctx context.Context, key string, need int64) (evicted, error) {
	others := bson.D{{Key: "_id", Value: bson.D{{Key: "$ne", Value: key}}}} // which a Put is about to replace
	docs, err := s.find(ctx, others, options.Find().SetSort(bson.D{{Key: "u", Value: 1}}).SetLimit(batch).SetProjection(bson.D{{Key: "_id", Value: 1}, {Key: "u", Value: 1}, {Key: "n", Value: 1}}))
	if err != nil {
		return evicted{}, err
	}
	var e evicted
	var ids bson.A
	var sizes []int64
	for _, raw := range docs {
		size, _ := raw.Lookup("n").AsInt64OK()
		e.last, _ = raw.Lookup("u").TimeOK()
		ids, sizes = append(ids, raw.Lookup("_id")), append(sizes, size)
		if need -= size; need <= 0 {
			break
		}
	}
	if e.found = len(ids); e.found == 0 {
		return e, nil
	}
	result, err := s.deleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, {Key: "$or", Value: bson.A{
		bson.D{{Key: "u", Value: bson.D{{Key: "$lte", Value: e.last}}}}, bson.D{{Key: "u", Value: bson.D{{Key: "$exists", Value: false}}}},
	}}})
	if err != nil {
		return evicted{}, err
	}
	slices.Sort(sizes) // which of them were deleted is not known
	for _, size := range sizes[:min(int(result.DeletedCount), len(sizes))] {
		e.bytes += size
	}
	return e, nil
}

// touch notes that records are used, behind the caller's back. It does not wait: where uses are being noted already, or the server is slow, a use goes unnoted.
func (s *Store) touch(keys []string) {
	if len(keys) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		return
	}
	s.touches.Go(func() {
		defer func() { <-s.slots }()
		ctx, cancel := s.bounded(s.ctx)
		defer cancel()
		_, _ = s.collection.UpdateMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}, bson.D{{Key: "$set", Value: bson.D{{Key: "u", Value: time.Now()}}}})
	})
}

// sweeper makes the indexes, removes what is expired, and has the collection measured, until the store is closed. What fails is tried again a minute later.
func (s *Store) sweeper() {
	indexed := false
	for {
		s.look() // to see what other processes have written
		if !indexed {
			indexed = s.index() == nil
		}
		ctx, cancel := context.WithTimeout(s.ctx, sweepTime)
		_, _ = s.DeleteExpired(ctx, time.Now())
		cancel()
		timer := time.NewTimer(sweepInterval)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// notImplemented is the code of the error of servers that have no TTL indexes.
const notImplemented = 238

// index makes the indexes: for the server to remove what is expired, for the order of use, and for Range.
func (s *Store) index() error {
	ctx, cancel := context.WithTimeout(s.ctx, indexTime)
	defer cancel()
	_, err := s.collection.Indexes().CreateMany(ctx, []mongo.IndexModel{
		{Keys: bson.D{{Key: "u", Value: 1}, {Key: "n", Value: 1}}},
		{Keys: bson.D{{Key: "kind", Value: 1}, {Key: "_id", Value: 1}}},
	})
	if err != nil {
		return err
	}
	_, err = s.collection.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "e", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(0)})
	var refused mongo.CommandError
	if errors.As(err, &refused) && refused.HasErrorCode(notImplemented) {
		_, err = s.collection.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "e", Value: 1}}})
	}
	return err
}
