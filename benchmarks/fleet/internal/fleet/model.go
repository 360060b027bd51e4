// Package fleet has a model of many processes that share a store, and their traffic.
//
//	scenario.go   a fleet, its traffic and what happens to it; ways.go   the scenarios that are compared
//	model.go      virtual time, processes and keys
//	requests.go   a request: hit, fetch, or a wait for a fetch; leases.go   one fetch for all processes
//	events.go     invalidations, deploys, what else happens
//	store.go      calls of the store, and its failure
package fleet

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// model is a fleet in virtual time: events in the order of their times, on one goroutine. Its rules are those of ply:
//
//	requests.go   a request: the copy in memory, the lookup in the store, one fetch for all who wait in a process, storing
//	leases.go     who of several processes asks the origin (middleware/cache/internal/lease)
//	store.go      calls of the store, notifications, a store that fails (middleware/cache/internal/storeclient)
//	events.go     invalidations and deploys
//
// Responses have bodies that fit into their records, nothing is evicted, and the origin does not fail.
type model struct {
	Scenario
	Result
	now       time.Duration
	queue     queue
	number    int // of events so far: those of one moment run in the order in which they were made
	random    *rand.Rand
	processes []*process
	keys      []*key
}

// process is one of the fleet.
type process struct {
	copies     []copied // in memory, by key
	flights    map[int]*flight
	found      []bool           // by key: the last lookup in the store has found something
	forgetting map[int]struct{} // keys of invalidated records that it removes
	store      breaker
	warm       bool // it has read the key of its hashes
}

// copied is a response in the memory of a process.
type copied struct {
	there   bool
	version int32         // of the content
	fetched time.Duration // when it was requested of the origin, for its age
	read    time.Duration // when it was read from the store, or written there
	checked time.Duration // when it was compared with the store
}

// key is what the origin and the store have under a key.
type key struct {
	content       int             // at the origin
	invalidations []*invalidation // each makes one content stale
	generation    int             // in the store
	marked        bool            // the store keeps a record of the generation as long as a response
	changed       [8]change       // of the generation or the record, the latest first

	record record
	lease  *leaseRecord
	waits  []*wait
}

// record is a response in the store.
type record struct {
	present    bool
	version    int // of the content
	generation int
	fetched    time.Duration
	changes    int // the version for compare-and-swap
}

type change struct {
	at time.Duration
	by *process
}

type invalidation struct {
	acknowledged time.Duration // when it had returned; negative before
	stale        time.Duration
}

// Simulate runs a scenario.
func Simulate(s Scenario) Result {
	m := &model{Scenario: s, random: rand.New(rand.NewPCG(s.Seed, 2))}
	for range s.Processes {
		m.processes = append(m.processes, m.newProcess())
	}
	for range s.Keys {
		m.keys = append(m.keys, &key{})
	}
	m.scheduleDeploy()
	m.scheduleOutage()
	s.Traffic(func(a Arrival) {
		m.runUntil(a.At)
		m.arrive(a)
	})
	m.runUntil(1 << 62)
	m.collect()
	return m.Result
}

func (m *model) newProcess() *process {
	return &process{
		copies: make([]copied, m.Keys), flights: make(map[int]*flight), found: make([]bool, m.Keys), forgetting: make(map[int]struct{}),
	}
}

func (m *model) collect() {
	for _, k := range m.keys {
		for _, i := range k.invalidations {
			m.Stale = append(m.Stale, i.stale)
		}
	}
}

// after has f run in so long.
func (m *model) after(d time.Duration, f func()) {
	m.number++
	heap.Push(&m.queue, event{m.now + d, m.number, f})
}

// runUntil runs what happens before a time, and sets the clock to it.
func (m *model) runUntil(t time.Duration) {
	for len(m.queue) > 0 && m.queue[0].at <= t {
		e := heap.Pop(&m.queue).(event)
		m.now = e.at
		e.run()
	}
	m.now = t
}

type event struct {
	at     time.Duration
	number int
	run    func()
}

// queue is a heap of events.
type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].number < q[j].number
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(event)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = event{}
	*q = (*q)[:last]
	return e
}
