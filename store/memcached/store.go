package memcached

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/storeline"
	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// The names of items: of records, of chunks, whose records' versions are their names, and of the generation on each server.
// A namespace has none of these separators. The longest name has 64 + 1 + 128 bytes, and a server takes 250.
func (s *Store) recordName(key string) string { return s.opt.Namespace + ":" + key }

func (s *Store) chunkName(version string, i int) string {
	return s.opt.Namespace + "/" + version + "/" + strconv.Itoa(i)
}

func (s *Store) generationName() string { return s.opt.Namespace + "!generation" }

// itemOverhead is what a server needs beside the value of an item, its name included: generously.
const itemOverhead = 512

// largest is the longest value that a server takes.
func (s *Store) largest() int { return s.opt.MaxItemBytes - itemOverhead }

// there is what a server has under the name of a record.
type there struct {
	item
	line       storeline.Line
	data       []byte // if it is not in chunks
	generation string // of this server; "" if it has none, as after a start
	newer      bool   // a later version of the code has written it
	live       bool   // it is a record of this key and generation, and not over
}

// version is the version that the server has, as far as one look says: chunks may be missing.
func (t there) version() string {
	if !t.live {
		return ""
	}
	return t.line.Version
}

// look reads the item of a record and the generation of its server, in one round trip. The server looks for the generation last. So if the record's
// is another one, the record was dead when the server looked for it: generations do not come again. What is swapped for it later replaces nothing that lives.
func (s *Store) look(ctx context.Context, srv *server, keys ...string) ([]there, error) {
	names := make([]string, 0, len(keys)+1)
	for _, key := range keys {
		names = append(names, s.recordName(key))
	}
	names = append(names, s.generationName())
	var items []item
	err := srv.do(ctx, func(c *conn) (err error) {
		items, err = c.gets(names, s.largest()+itemOverhead)
		return err
	})
	if err != nil {
		return nil, err
	}
	now, generation := time.Now(), string(items[len(keys)].value)
	all := make([]there, len(keys))
	for i, key := range keys {
		t := there{item: items[i], generation: generation}
		var ok bool
		t.newer = storeline.IsNewer(t.value)
		t.line, t.data, ok = storeline.Decode(t.value)
		t.live = ok && t.line.Key == key && t.line.Generation == generation && !t.line.Over(now) && t.line.Size <= s.opt.MaxRecordBytes &&
			(t.line.Chunk > 0 || t.line.Proves(t.data))
		all[i] = t
	}
	return all, nil
}

// tries bounds how often a call begins again because others changed, or the server dropped, what it had seen.
const tries = 5

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string) (store.Record, error) {
	if err := storetext.CheckKey("memcached", key); err != nil {
		return store.Record{}, err
	}
	r, err := s.get(ctx, s.serverOf(key), key)
	return r, wrap("get", err)
}

func (s *Store) serverOf(key string) *server { return s.servers[s.ring.server(key)] }

func (s *Store) get(ctx context.Context, srv *server, key string) (store.Record, error) {
	lost := "" // the version whose chunks are not all there
	for range tries {
		all, err := s.look(ctx, srv, key)
		if err != nil {
			return store.Record{}, err
		}
		switch t := all[0]; {
		case t.newer:
			return store.Record{}, store.ErrNewer
		case !t.live || t.line.Version == lost:
			return store.Record{}, nil
		case t.line.Chunk == 0:
			return t.line.Record(t.data), nil
		default:
			data, err := s.chunks(ctx, srv, t.line)
			switch {
			case err != nil:
				return store.Record{}, err
			case data != nil:
				return t.line.Record(data), nil
			}
			lost = t.line.Version // unless another record has replaced it meanwhile
		}
	}
	return store.Record{}, nil
}

// chunks returns the data of a record in chunks, nil if it is not whole.
func (s *Store) chunks(ctx context.Context, srv *server, l storeline.Line) ([]byte, error) {
	var items []item
	err := srv.do(ctx, func(c *conn) (err error) {
		items, err = c.gets(s.chunkNames(l), min(l.Chunk, l.Size)) // Chunk is any writer's word, Size has a bound
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if !it.there {
			return nil, nil
		}
	}
	data := make([]byte, 0, l.Size)
	for _, it := range items {
		data = append(data, it.value...)
	}
	if !l.Proves(data) {
		return nil, nil
	}
	return data, nil
}

func (s *Store) chunkNames(l storeline.Line) []string {
	names := make([]string, l.Chunks())
	for i := range names {
		names[i] = s.chunkName(l.Version, i)
	}
	return names
}

// Put implements [store.Store].
func (s *Store) Put(ctx context.Context, key string, r store.Record) error {
	if err := storeline.CheckRecord("memcached", key, r); err != nil {
		return err
	}
	p := &put{store: s, server: s.serverOf(key), key: key, record: r, version: rand.Text(), sum: storeline.Sum(r.Data)}
	if len(r.Data) > s.largest()-storeline.MaxOverhead {
		p.chunk = s.largest()
	}
	if len(r.Data) > s.opt.MaxRecordBytes || p.chunk > 0 && len(r.Data)/p.chunk >= storeline.MaxChunks {
		return wrap("put", store.ErrTooLarge)
	}
	err := p.run(ctx)
	if refused := refusal(""); errors.As(err, &refused) && refused.tooLarge() {
		err = store.ErrTooLarge // the server's -I is less than MaxItemBytes
	}
	return wrap("put", err)
}

// put is one call of Put.
type put struct {
	store   *Store
	server  *server
	key     string
	record  store.Record
	version string // of what is put
	sum     uint32 // of the data
	chunk   int    // how long chunks are; 0 if the data is to be in the record's own item
	sent    bool   // the chunks have been sent
}

// run replaces the version that the record names. The index of a record in chunks comes after the chunks, and nothing but the index is compared and swapped.
func (p *put) run(ctx context.Context) error {
	for range tries {
		all, err := p.store.look(ctx, p.server, p.key)
		if err != nil {
			return err
		}
		t := all[0]
		if t.version() == p.version { // an earlier try, whose reply got lost
			return nil
		}
		if conflict, err := p.conflict(ctx, t); err != nil || conflict {
			if p.sent {
				p.drop(ctx, p.line(t))
			}
			if err == nil {
				err = store.ErrConflict
			}
			return err
		}
		done, err := p.swap(ctx, t)
		if err != nil {
			return err
		}
		if done {
			p.drop(ctx, t.line)
			return nil
		}
	}
	return store.ErrConflict
}

func (p *put) line(t there) storeline.Line {
	l := storeline.New(p.key, p.version, t.generation, p.record)
	l.Chunk = p.chunk
	return l
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
	data, err := p.store.chunks(ctx, p.server, t.line)
	return data != nil, err
}

// swap puts the record in the place of what is there. done is false if that is not there any more, or something was missing that is there now.
func (p *put) swap(ctx context.Context, t there) (done bool, err error) {
	now := time.Now()
	line := p.line(t)
	if line.Over(now) {
		if !t.there {
			return true, nil
		}
		return p.server.swap(ctx, removal(p.store.recordName(p.key), t.cas))
	}
	if t.generation == "" {
		return false, p.store.begin(ctx, p.server)
	}
	if err := p.sendChunks(ctx, line, now); err != nil {
		return false, err
	}
	c := storage{verb: "add", name: p.store.recordName(p.key), exptime: exptime(p.record.Expires, now), value: [][]byte{line.Encode(p.sum)}}
	if p.chunk == 0 {
		c.value = append(c.value, p.record.Data)
	}
	if t.there {
		c.verb, c.cas = "cas", t.cas
	}
	return p.server.swap(ctx, c)
}

// sendChunks stores the chunks under names that are those of this version alone.
func (p *put) sendChunks(ctx context.Context, l storeline.Line, now time.Time) error {
	if p.chunk == 0 || p.sent {
		return nil
	}
	var sets []storage
	rest := p.record.Data
	for _, name := range p.store.chunkNames(l) {
		n := min(p.chunk, len(rest))
		sets = append(sets, storage{verb: "set", name: name, exptime: exptime(p.record.Expires, now), value: [][]byte{rest[:n]}})
		rest = rest[n:]
	}
	stored, err := p.server.swap(ctx, sets...)
	if err == nil && !stored {
		err = errProtocol // a set has no condition
	}
	p.sent = err == nil
	return err
}

// drop gives back the room of chunks that no index names any more. If that fails the server drops them like anything else that is not used.
func (p *put) drop(ctx context.Context, l storeline.Line) { p.store.drop(ctx, p.server, l) }

func (s *Store) drop(ctx context.Context, srv *server, l storeline.Line) {
	if l.Chunk > 0 {
		_ = srv.do(ctx, func(c *conn) error { return c.remove(s.chunkNames(l)...) })
	}
}

// swap sends commands, and reports whether all of them have stored their value.
func (s *server) swap(ctx context.Context, commands ...storage) (stored bool, err error) {
	err = s.do(ctx, func(c *conn) (err error) {
		stored, err = c.store(commands...)
		return err
	})
	return stored, err
}

// removal is a deletion that compares, which the protocol lacks: an item without life in the place of the one that was seen.
func removal(name string, cas uint64) storage {
	return storage{verb: "cas", name: name, exptime: atOnce, cas: cas, value: [][]byte{{'-'}}}
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, key, version string) error {
	if err := storetext.CheckKey("memcached", key); err != nil {
		return err
	}
	return wrap("delete", s.delete(ctx, s.serverOf(key), key, version))
}

func (s *Store) delete(ctx context.Context, srv *server, key, version string) error {
	for range tries {
		all, err := s.look(ctx, srv, key)
		if err != nil {
			return err
		}
		t, done := all[0], true
		switch {
		case !t.there || version != "" && t.version() == "" && !t.newer:
			return nil
		case version == "":
			err = srv.do(ctx, func(c *conn) error { return c.remove(s.recordName(key)) })
		case t.version() != version:
			return store.ErrConflict
		default:
			done, err = srv.swap(ctx, removal(s.recordName(key), t.cas))
		}
		if err != nil {
			return err
		}
		if done {
			s.drop(ctx, srv, t.line)
			return nil
		}
	}
	return store.ErrConflict
}

// together is how many records are asked for in one command: their names and the command have less than the 16 KiB that are written at once.
const together = 64

// GetMulti implements [store.MultiGetter]: one call for each server, all at once.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	wanted := make(map[*server][]int) // indexes of keys
	for i, key := range keys {
		if err := storetext.CheckKey("memcached", key); err != nil {
			return nil, err
		}
		srv := s.serverOf(key)
		wanted[srv] = append(wanted[srv], i)
	}
	records := make([]store.Record, len(keys))
	var all sync.WaitGroup
	var mu sync.Mutex // guards failed; each element of records has one writer
	var failed error
	for srv, indexes := range wanted {
		read := func() {
			if err := s.getMany(ctx, srv, keys, indexes, records); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		}
		if len(wanted) == 1 {
			read()
		} else {
			all.Go(read)
		}
	}
	all.Wait()
	if failed != nil {
		return nil, wrap("get", failed)
	}
	return records, nil
}

// getMany reads the records of one server: those of keys at some indexes, into the elements of records at these indexes.
func (s *Store) getMany(ctx context.Context, srv *server, keys []string, indexes []int, records []store.Record) error {
	for len(indexes) > 0 {
		n := min(len(indexes), together)
		names := make([]string, n)
		for i, index := range indexes[:n] {
			names[i] = keys[index]
		}
		all, err := s.look(ctx, srv, names...)
		if err != nil {
			return err
		}
		for i, t := range all {
			at := indexes[i]
			switch {
			case t.newer:
				return store.ErrNewer
			case t.live && t.line.Chunk == 0:
				records[at] = t.line.Record(t.data)
			case t.live:
				if records[at], err = s.get(ctx, srv, keys[at]); err != nil {
					return err
				}
			}
		}
		indexes = indexes[n:]
	}
	return nil
}

// begin gives a server a generation if it has none.
func (s *Store) begin(ctx context.Context, srv *server) error {
	_, err := srv.swap(ctx, storage{verb: "add", name: s.generationName(), value: [][]byte{[]byte(rand.Text())}})
	return err // not stored: another caller was faster
}

// Clear implements [store.Clearer]. It changes the generation on each server, so that no record counts which was put before; the servers drop them when they
// need the room. What other programs and namespaces have there stays. Where a server is away, what it has is there when it is back, and the error says so.
func (s *Store) Clear(ctx context.Context) error {
	return wrap("clear", s.each(func(srv *server) error {
		_, err := srv.swap(ctx, storage{verb: "set", name: s.generationName(), value: [][]byte{[]byte(rand.Text())}})
		return err
	}))
}

const (
	atOnce       = -1                  // the server drops the item
	longestDelta = 30 * 24 * time.Hour // beyond it the protocol wants the time, not the difference
)

// exptime returns a time to live as the protocol has it, rounded up: in seconds up to 30 days, and as a time since 1970 beyond. 0 is never, and stands for what cannot be said.
// The server's clock ticks once a second, so the server keeps the item up to two seconds longer; the line says when it is over.
func exptime(expires, now time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	if left := expires.Sub(now); left <= longestDelta-2*time.Second {
		return int64((max(left, 0)+time.Second-1)/time.Second) + 1
	}
	if at := expires.Unix() + 2; at <= math.MaxInt32 {
		return at
	}
	return 0
}
