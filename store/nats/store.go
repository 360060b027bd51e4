package nats

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plyhttp/ply/internal/storeline"
	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// The keys of the bucket: "r." and a record's key, whose ':' and '.' a bucket does not take everywhere; "c.", a record's version and a number for its chunks;
// "clear", which says to those who listen that everything has gone.
var encoder, decoder = strings.NewReplacer(":", "/", ".", "="), strings.NewReplacer("/", ":", "=", ".")

func recordKey(key string) string { return "r." + encoder.Replace(key) }

func chunkKey(version string, i int) string { return "c." + version + "." + strconv.Itoa(i) }

const clearKey = "clear"

// The header of a message.
const (
	operationHeader = "KV-Operation" // of a deletion, as all clients of the bucket know it
	deleted         = "DEL"
	byHeader        = "Ply-By"   // the instance that made the change
	usedHeader      = "Ply-Used" // this is no change: the record was used, and shall stay
)

// generation is what the line of each record has where other stores have one.
const generation = "-"

// markerTTL is how long the marker of a deletion stays: those who listen have heard of it then.
const markerTTL = time.Minute

// there is the last message under a key.
type there struct {
	seq     uint64 // 0 for none
	message *jetstream.RawStreamMsg
	line    storeline.Line
	data    []byte // if it is not in chunks
	newer   bool   // a later version of the code has written it
	live    bool   // it is a record of this key, and not over
}

// version is the version that the bucket has, as far as one look says: chunks may be missing.
func (t there) version() string {
	if !t.live {
		return ""
	}
	return t.line.Version
}

// look reads what is under a key.
func (s *Store) look(ctx context.Context, b *bucket, key string) (there, error) {
	m, err := b.GetLastMsgForSubject(ctx, s.subject(recordKey(key)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return there{}, nil
	}
	if err != nil {
		return there{}, err
	}
	t := there{seq: m.Sequence, message: m}
	if m.Header.Get(operationHeader) != "" {
		return t, nil
	}
	var ok bool
	t.newer = storeline.IsNewer(m.Data)
	t.line, t.data, ok = storeline.Decode(m.Data)
	t.live = ok && t.line.Key == key && !t.line.Over(time.Now()) && t.line.Size <= s.opt.MaxRecordBytes && (t.line.Chunk > 0 || t.line.Proves(t.data))
	return t, nil
}

// tries bounds how often a call begins again because others changed, or the server dropped, what it had seen.
const tries = 5

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := storetext.CheckKey("nats", key); err != nil {
		return store.Record{}, err
	}
	r, err := call(s, ctx, func(ctx context.Context, b *bucket) (store.Record, error) { return s.get(ctx, b, key) })
	return r, wrap("get", err)
}

func (s *Store) get(ctx context.Context, b *bucket, key string) (store.Record, error) {
	lost := "" // the version whose chunks are not all there
	for range tries {
		t, err := s.look(ctx, b, key)
		if err != nil {
			return store.Record{}, err
		}
		switch {
		case t.newer:
			return store.Record{}, store.ErrNewer
		case !t.live || t.line.Version == lost:
			return store.Record{}, nil
		case t.line.Chunk == 0:
			s.used(ctx, b, t, nil)
			return t.line.Record(t.data), nil
		}
		chunks, err := s.chunks(ctx, b, t.line)
		if err != nil {
			return store.Record{}, err
		}
		if data := join(t.line, chunks); data != nil {
			s.used(ctx, b, t, chunks)
			return t.line.Record(data), nil
		}
		lost = t.line.Version // unless another record has replaced it meanwhile
	}
	return store.Record{}, nil
}

// chunks reads the chunks of a record, nil for those that are not there.
func (s *Store) chunks(ctx context.Context, b *bucket, l storeline.Line) ([]*jetstream.RawStreamMsg, error) {
	return concurrently(l.Chunks(), func(i int) (*jetstream.RawStreamMsg, error) {
		m, err := b.GetLastMsgForSubject(ctx, s.subject(chunkKey(l.Version, i)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, nil
		}
		return m, err
	})
}

// join returns the data of a record in chunks, nil if it is not whole.
func join(l storeline.Line, chunks []*jetstream.RawStreamMsg) []byte {
	for _, m := range chunks {
		if m == nil || len(m.Data) > l.Chunk {
			return nil
		}
	}
	data := make([]byte, 0, l.Size)
	for _, m := range chunks {
		data = append(data, m.Data...)
	}
	if !l.Proves(data) {
		return nil
	}
	return data
}

// atOnce is how many requests of one call are under way.
const atOnce = 16

// concurrently returns f(0) to f(n-1), several of which run at once. It waits for all of them, and returns one of their errors.
func concurrently[T any](n int, f func(i int) (T, error)) ([]T, error) {
	values := make([]T, n)
	var mu sync.Mutex // guards next and failed; each element of values has one writer
	next := 0
	var failed error
	work := func() {
		for {
			mu.Lock()
			i := next
			next++
			stop := i >= n || failed != nil
			mu.Unlock()
			if stop {
				return
			}
			value, err := f(i)
			if err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
			values[i] = value
		}
	}
	var all sync.WaitGroup
	for range min(n, atOnce) - 1 {
		all.Go(work)
	}
	work()
	all.Wait()
	if failed != nil {
		return nil, failed
	}
	return values, nil
}

// GetMulti implements [store.MultiGetter]: JetStream has no such request, so several are under way at once.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	for _, key := range keys {
		if err := storetext.CheckKey("nats", key); err != nil {
			return nil, err
		}
	}
	keys = append([]string(nil), keys...)
	records, err := call(s, ctx, func(ctx context.Context, b *bucket) ([]store.Record, error) {
		return concurrently(len(keys), func(i int) (store.Record, error) { return s.get(ctx, b, keys[i]) })
	})
	return records, wrap("get", err)
}

// Put implements [store.Store].
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	if err := storeline.CheckRecord("nats", key, r); err != nil {
		return err
	}
	if len(r.Data) > s.opt.MaxRecordBytes {
		return wrap("put", store.ErrTooLarge)
	}
	r.Data = append([]byte(nil), r.Data...) // the caller may go before the client does
	p := &put{store: s, key: key, record: r, version: rand.Text(), sum: storeline.Sum(r.Data)}
	_, err := call(s, ctx, func(ctx context.Context, b *bucket) (struct{}, error) {
		p.bucket, p.chunk, p.sent = b, 0, false
		if len(r.Data) > b.message-storeline.MaxOverhead {
			p.chunk = b.message
		}
		return struct{}{}, p.run(ctx)
	})
	return wrap("put", err)
}

// put is one call of Put.
type put struct {
	store   *Store
	bucket  *bucket
	key     string
	record  store.Record
	version string // of what is put
	sum     uint32 // of the data
	chunk   int    // how long chunks are; 0 if the data is to be in the record's own message
	sent    bool   // the chunks have been sent
}

// run replaces the version that the record names. The index of a record in chunks comes after the chunks, and nothing but the index is compared and swapped.
// Over 15 branches on purpose: the steps of a change stand in their order, each with its error.
func (p *put) run(ctx context.Context) error {
	line := storeline.New(p.key, p.version, generation, p.record)
	line.Chunk = p.chunk
	if line.Chunks() > storeline.MaxChunks || p.bucket.maxBytes > 0 && int64(line.Size+(line.Chunks()+1)*(storeline.MaxOverhead+headerRoom)) > p.bucket.maxBytes {
		return store.ErrTooLarge
	}
	for range tries {
		t, err := p.store.look(ctx, p.bucket, p.key)
		if err != nil {
			return err
		}
		if t.version() == p.version { // an earlier try, whose reply got lost
			return nil
		}
		conflict, err := p.conflict(ctx, t)
		if err == nil && conflict {
			err = store.ErrConflict
		}
		if err == nil && line.Over(time.Now()) {
			return p.store.remove(ctx, p.bucket, p.key, t)
		}
		if err == nil {
			err = p.sendChunks(ctx, line)
		}
		if err != nil {
			p.store.drop(ctx, p.bucket, line, p.sent)
			return err
		}
		value := line.Encode(p.sum)
		if p.chunk == 0 {
			value = append(value, p.record.Data...)
		}
		done, err := p.store.publish(ctx, p.bucket, message{key: recordKey(p.key), value: value, ttl: timeToLive(p.record.Expires), replaces: &t.seq})
		if err != nil {
			return err
		}
		if done {
			p.store.drop(ctx, p.bucket, t.line, true)
			return nil
		}
	}
	return store.ErrConflict
}

// conflict reports whether something else is there than what is to be replaced. A record that has lost a chunk counts as absent, as it does in Get.
func (p *put) conflict(ctx context.Context, t there) (bool, error) {
	if t.newer {
		return true, nil
	}
	if t.version() == p.record.Version {
		return false, nil
	}
	if p.record.Version != "" || t.line.Chunk == 0 {
		return true, nil
	}
	chunks, err := p.store.chunks(ctx, p.bucket, t.line)
	return join(t.line, chunks) != nil, err
}

// sendChunks stores the chunks under keys that are those of this version alone.
func (p *put) sendChunks(ctx context.Context, l storeline.Line) error {
	if p.chunk == 0 || p.sent {
		return nil
	}
	p.sent = true
	_, err := concurrently(l.Chunks(), func(i int) (bool, error) {
		value := p.record.Data[i*p.chunk : min((i+1)*p.chunk, l.Size)]
		return p.store.publish(ctx, p.bucket, message{key: chunkKey(l.Version, i), value: value, ttl: timeToLive(p.record.Expires)})
	})
	return err
}

// drop gives back the room of chunks that no index names any more. If that fails the server drops them in their turn.
func (s *Store) drop(ctx context.Context, b *bucket, l storeline.Line, sent bool) {
	if l.Chunk > 0 && sent {
		_ = b.Purge(ctx, jetstream.WithPurgeSubject(s.subject("c."+l.Version+".*")))
	}
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, key, version string) error {
	if err := storetext.CheckKey("nats", key); err != nil {
		return err
	}
	_, err := call(s, ctx, func(ctx context.Context, b *bucket) (struct{}, error) {
		return struct{}{}, s.delete(ctx, b, key, version)
	})
	return wrap("delete", err)
}

func (s *Store) delete(ctx context.Context, b *bucket, key, version string) error {
	for range tries {
		t, err := s.look(ctx, b, key)
		switch {
		case err != nil:
			return err
		case version != "" && t.version() == "" && !t.newer:
			return nil
		case version != "" && t.version() != version:
			return store.ErrConflict
		}
		if err := s.remove(ctx, b, key, t); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return store.ErrConflict
}

// remove puts the marker of a deletion in the place of what was there. It returns ErrConflict if something else is there now.
func (s *Store) remove(ctx context.Context, b *bucket, key string, t there) error {
	if t.seq == 0 || t.message.Header.Get(operationHeader) != "" {
		return nil
	}
	done, err := s.publish(ctx, b, message{key: recordKey(key), ttl: markerTTL, replaces: &t.seq, headers: map[string]string{operationHeader: deleted}})
	if err == nil && !done {
		err = store.ErrConflict
	}
	if err == nil {
		s.drop(ctx, b, t.line, true)
	}
	return err
}

// message is what publish puts under a key.
type message struct {
	key      string
	value    []byte
	ttl      time.Duration // 0 for none
	replaces *uint64       // the sequence number of what it replaces, 0 for nothing; nil for whatever is there
	headers  map[string]string
}

// publish puts a message into the bucket. done is false if something else was there than what it was to replace.
func (s *Store) publish(ctx context.Context, b *bucket, m message) (done bool, err error) {
	msg := natsgo.NewMsg(s.subject(m.key))
	msg.Data = m.value
	msg.Header.Set(byHeader, s.id)
	for name, value := range m.headers {
		msg.Header.Set(name, value)
	}
	options := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
	if m.ttl > 0 && b.ttl {
		options = append(options, jetstream.WithMsgTTL(m.ttl))
	}
	if m.replaces != nil {
		options = append(options, jetstream.WithExpectLastSequencePerSubject(*m.replaces))
	}
	ack, err := b.js.PublishMsg(ctx, msg, options...)
	if refused := new(jetstream.APIError); errors.As(err, &refused) {
		switch refused.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	s.room.put(ack.Sequence, len(m.value)+headerRoom/4)
	return true, nil
}

// longestTTL bounds what a server, which counts in nanoseconds since 1970, is told. What is longer is for ever.
const longestTTL = 20 * 365 * 24 * time.Hour

// timeToLive returns for how long the server is to keep a message: in whole seconds, rounded up. 0 is for ever.
func timeToLive(expires time.Time) time.Duration {
	if expires.IsZero() {
		return 0
	}
	left := time.Until(expires)
	if left > longestTTL {
		return 0
	}
	return max(left, 0).Truncate(time.Second) + 2*time.Second
}
