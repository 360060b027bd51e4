package durable

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// A ChunkWriter is the copy of a large body that goes into a store while it is being read, instead of into memory. It is a stream.Sink.
// Workers store its chunks, a few at a time. A reader that is faster than the store waits for it, but not for long: then the copy is dropped.
//
// One goroutine writes; workers call Fail, and any goroutine may call Abort. mu is not held over a call of the store.
// Abort removes the chunks only after the last of them was stored or has failed, so none appears after it was removed:
//
//	worker: stores a chunk   Abort: waits for submitted   worker: done   Abort: removes all chunks
type ChunkWriter struct {
	chunkBuilder
	slots chan struct{} // holds an element for each chunk that is being stored; its worker removes it

	mu        sync.Mutex // guards the fields below
	failed    bool
	ended     bool           // finished, or aborted: the first of both decides
	patience  time.Duration  // for how long the reader may still wait
	submitted sync.WaitGroup // the chunks that are being stored
}

const (
	// writeAhead is how many chunks of one body are stored at a time.
	writeAhead = 4

	// writePace is how long a reader may wait for each chunk, on average: a store that takes less than 50 MB in a second is too slow for a faster reader.
	writePace = 5 * time.Millisecond
)

// NewChunkWriter begins the copy of a body that will be e's.
func (d *Store) NewChunkWriter(at stored.RecordKey, e *stored.Entry) *ChunkWriter {
	now := time.Now()
	return &ChunkWriter{
		chunkBuilder: *d.newChunkBuilder(at, later(d.until(e, now), now.Add(chunkTTL))),
		slots:        make(chan struct{}, writeAhead), patience: d.Client.Timeout,
	}
}

// Write takes more bytes. It is false if they, or those before, could not be stored.
func (s *ChunkWriter) Write(p []byte) bool {
	for len(p) > 0 {
		if s.chunk == nil {
			s.begin(s.Size / chunkBytes)
		}
		n := min(len(p), cap(s.chunk)-len(s.chunk))
		s.chunk, p = append(s.chunk, p[:n]...), p[n:]
		if s.Size += int64(n); len(s.chunk) == cap(s.chunk) && !s.submit() {
			return false
		}
	}
	return true
}

// submit has a worker store the chunk that is being filled.
func (s *ChunkWriter) submit() bool {
	if s.chunk == nil {
		return true
	}
	if !s.wait() {
		return false
	}
	key, record := s.seal()
	s.submitted.Add(1)
	started := s.durable.Workers.Go(func(ctx context.Context) {
		defer s.done()
		if s.durable.Client.Put(ctx, key, record) != nil {
			s.Fail()
		}
	})
	if !started {
		s.done()
		s.Fail()
	}
	return started
}

func (s *ChunkWriter) done() {
	<-s.slots
	s.submitted.Done()
}

// Fail has the next call of Write, or the end of the body, drop the copy.
func (s *ChunkWriter) Fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// wait waits for a slot, within the patience that is left. The lock is not held meanwhile.
func (s *ChunkWriter) wait() bool {
	s.mu.Lock()
	failed, patience := s.failed || s.ended, s.patience+writePace
	s.patience = patience
	s.mu.Unlock()
	if failed {
		return false
	}
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	begun := time.Now()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		s.mu.Lock()
		s.patience -= time.Since(begun)
		s.mu.Unlock()
		return true
	case <-timer.C:
		s.Fail()
		return false
	}
}

// finish stores the rest, waits for all chunks, and returns where the body is.
func (s *ChunkWriter) finish() (*stored.Chunks, error) {
	if !s.submit() {
		return nil, errNotWritten
	}
	s.submitted.Wait() // which takes no longer than a call of the store may
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed || s.ended {
		return nil, errNotWritten
	}
	s.ended = true
	p := s.Chunks
	p.Fresh = true
	return &p, nil
}

var errNotWritten = errors.New("the store has not taken the body")

// Abort removes, in the background, what has been stored. It does nothing after finish or another Abort.
func (s *ChunkWriter) Abort() {
	s.mu.Lock()
	again := s.ended
	s.ended = true
	s.mu.Unlock()
	if again {
		return
	}
	s.durable.Workers.Go(func(ctx context.Context) {
		s.submitted.Wait()
		s.durable.remove(ctx, &s.Chunks)
	})
}

// Written is how many bytes have been taken.
func (s *ChunkWriter) Written() int64 { return s.Size }

// Move takes more of the body, and says what becomes of the copy.
func (s *ChunkWriter) Move(d *stream.BodyCopy, p []byte, err error) stream.Outcome {
	o := d.Judge(s.Size+int64(len(p)), err)
	if o.Reason == "" && !s.Write(p) {
		o = stream.Outcome{Reason: stream.ErrSlow}
	}
	if o.Complete {
		if o.Stored, err = s.finish(); err != nil {
			o = stream.Outcome{Reason: errNotWritten.Error()}
		}
	}
	if o.Reason != "" {
		s.Abort()
	}
	return o
}

// Outliving returns r, or a request without an end if the deadline of r has passed: the chunks of a large body are read after it.
func Outliving(r *http.Request) *http.Request {
	if errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		return r.WithContext(context.WithoutCancel(r.Context()))
	}
	return r
}
