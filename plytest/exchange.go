package plytest

import (
	"context"
	"crypto/sha256"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// MaxLoggedBody is how many bytes of a request body an [Exchange] keeps. Size and Sum count all of them.
const MaxLoggedBody = 1 << 20

// Exchange records one request to an [Origin] or a [Server], and the outcome of its response.
// It is a copy: the reader may change it, and it does not change later.
type Exchange struct {
	Method string
	URL    *url.URL
	Host   string
	Header http.Header
	At     time.Time // when the request arrived

	Body []byte            // the request body as far as it has arrived, at most MaxLoggedBody bytes
	Size int64             // how many bytes of it have arrived
	Sum  [sha256.Size]byte // their SHA-256

	Status int   // of the response; zero while there is none, and for the Raw reply of a Server
	Err    error // why there was no response, or why its body broke

	// About the body of the response. A [Server] does not know these.
	BodyRead   bool // it was read to its end
	BodyClosed bool // it was closed
	Canceled   bool // the request's context was done before the body had been read to its end or closed
}

// copyBody is an Exchange in progress.
type record struct {
	mu  sync.Mutex // guards the fields below
	x   Exchange
	sum hash.Hash
}

func newRecord(req *http.Request) *record {
	r := &record{sum: sha256.New()}
	r.x = Exchange{Method: req.Method, Host: req.Host, Header: req.Header.Clone(), At: time.Now()}
	if r.x.Method == "" {
		r.x.Method = http.MethodGet
	}
	if req.URL != nil {
		u := *req.URL
		r.x.URL = &u
		if r.x.Host == "" {
			r.x.Host = u.Host
		}
	}
	return r
}

func (r *record) note(f func(*Exchange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.x)
}

// Write adds to the request body.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := min(len(p), MaxLoggedBody-len(r.x.Body))
	r.x.Body = append(r.x.Body, p[:keep]...)
	r.x.Size += int64(len(p))
	r.sum.Write(p)
	return len(p), nil
}

// watch records that ctx is done, unless stop is called before.
func (r *record) watch(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		r.note(func(x *Exchange) { x.Canceled = true })
	})
}

func (r *record) snapshot() Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.x
	x.Header = x.Header.Clone()
	x.Body = slices.Clone(x.Body)
	if x.URL != nil {
		u := *x.URL
		x.URL = &u
	}
	r.sum.Sum(x.Sum[:0])
	return x
}

// journal is the log of an Origin or a Server.
type journal struct {
	mu      sync.Mutex // guards the fields below
	records []*record
	played  map[string]int
}

func (j *journal) add(r *record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r)
}

func (j *journal) exchanges() []Exchange {
	j.mu.Lock()
	records := slices.Clone(j.records)
	j.mu.Unlock()
	all := make([]Exchange, len(records))
	for i, r := range records {
		all[i] = r.snapshot()
	}
	return all
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.records)
}

// next returns the next reply of a script. The last one repeats.
func (j *journal) next(name string, script []Reply) *Reply {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.played == nil {
		j.played = make(map[string]int)
	}
	i := min(j.played[name], len(script)-1)
	j.played[name]++
	return &script[i]
}
