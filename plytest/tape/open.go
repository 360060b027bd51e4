package tape

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/redact"
)

// Environment is the variable that chooses the mode of all tapes, over that of their options: PLY_TAPE=record go test ./...
const Environment = "PLY_TAPE"

// A Mode says whether a tape is recorded or replayed.
type Mode int

// The modes of a tape. [Environment] names them auto, record, replay and passthrough.
const (
	ModeAuto        Mode = iota // replays the file if it is there, and records it otherwise; with CI set it never records
	ModeRecord                  // records the file anew; with CI set that fails the test
	ModeReplay                  // replays the file, which must be there
	ModePassthrough             // neither: requests go to the server, and nothing is written
)

var modes = map[string]Mode{"auto": ModeAuto, "record": ModeRecord, "replay": ModeReplay, "passthrough": ModePassthrough}

// Options say how a tape is recorded and replayed. The zero Options suit most tests.
type Options struct {
	// Mode says whether the tape is recorded or replayed. Zero is [ModeAuto]. The variable [Environment] counts before it.
	Mode Mode

	// Match says which requests are the same. Requests are compared as they are on the tape, without secrets.
	// Nil compares method, URL and content, and no credentials. A request that differs from one of the tape in nothing but what its protocol makes new each time gets the answer of that:
	// the time and the nonce of a signature, the state, nonce and code_challenge of an authorization request (RFC 6749 §4.1.1). If several could be meant, it gets none.
	Match keying.Strategy

	// Redactor hides more than [Tape.Redact] does with nil.
	Redactor *redact.Redactor

	// ShowMembers lists members of JSON and fields of forms whose values are no secrets here, though their names are those of secrets: "key" and "nextToken" in many APIs.
	// Case does not matter.
	ShowMembers []string

	// Scrub changes a copy of each exchange before it is written, and of each request before it is compared (then Response and Failure are nil): for secrets that have no telling name,
	// and for what differs from run to run. A second time it must change nothing, for requests of the tape are compared through it as well. It must be safe for concurrent use.
	Scrub func(*Exchange)

	// Reuse answers a request again with the last exchange that it matches when all have been given. Zero answers each exchange once.
	Reuse bool

	// MaxBodyBytes bounds each body that is recorded. A larger one reaches the caller, but fails the test, and no tape is written. Zero means 64 MiB.
	MaxBodyBytes int64

	// NoWait replays without the waits of the tape. Zero keeps them: in a bubble of testing/synctest, they cost no time.
	NoWait bool
}

const defaultMaxBodyBytes = 64 << 20

// A Session is a tape in a test, recorded or replayed. Make one with [Open]. It is safe for concurrent use.
type Session struct {
	t         testing.TB
	path      string
	o         Options
	recording *recording // nil unless it records
	player    *Player    // nil unless it replays
	ended     atomic.Bool
}

// Open opens the tape in a file for a test. What stands above [Session.Middleware] is recorded once, and replayed from then on without a server.
//
// The session ends with the test. Then a recording is written, without secrets, unless the test has failed. A replayed request that the tape does not have fails the test,
// with the difference to the nearest request that it has. What is wrong with the file or with the options ends the test at once.
func Open(t testing.TB, path string, o Options) *Session {
	t.Helper()
	s := &Session{t: t, path: path, o: o}
	mode, err := o.mode(path)
	if err == nil && o.MaxBodyBytes < 0 {
		err = errors.New("tape: MaxBodyBytes is negative")
	}
	if err != nil {
		t.Fatal(err)
	}
	switch mode {
	case ModeRecord:
		s.recording = newRecording(cmp.Or(o.MaxBodyBytes, defaultMaxBodyBytes), time.Millisecond) // what is less differs from recording to recording
		s.recording.strict = true
		t.Cleanup(s.save)
	case ModeReplay:
		recorded, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if s.player, err = recorded.Player(PlayerOptions{Match: o.Match, Redactor: o.Redactor, ShowMembers: o.ShowMembers, Scrub: o.Scrub, Reuse: o.Reuse, NoWait: o.NoWait}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.ended.Store(true) })
	}
	return s
}

// chosen returns the mode of the environment, or that of the options.
func (o *Options) chosen() (Mode, error) {
	name := os.Getenv(Environment)
	if name == "" {
		return o.Mode, nil
	}
	mode, ok := modes[name]
	if !ok {
		return 0, fmt.Errorf("tape: %s=%s is none of auto, record, replay and passthrough", Environment, name)
	}
	return mode, nil
}

// mode returns what is done: never ModeAuto.
func (o *Options) mode(path string) (Mode, error) {
	mode, err := o.chosen()
	if err != nil {
		return 0, err
	}
	ci := os.Getenv("CI") != ""
	_, err = os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && mode != ModePassthrough {
		return 0, fmt.Errorf("tape: %w", err)
	}
	switch {
	case mode < ModeAuto || mode > ModePassthrough:
		return 0, fmt.Errorf("tape: there is no mode %d", mode)
	case mode == ModeRecord && ci:
		return 0, errors.New("tape: CI never records; record on your machine, and commit the tape")
	case mode == ModeAuto && err == nil:
		return ModeReplay, nil
	case mode == ModeAuto && ci, mode == ModeReplay && err != nil:
		return 0, fmt.Errorf("tape: there is no tape %s; record it on your machine with %s=record, and commit it", path, Environment)
	case mode == ModeAuto:
		return ModeRecord, nil
	}
	return mode, nil
}

// Middleware is the layer that records or replays. It stands where the server should be seen from: at the end of a chain for what goes over the network. A replay never calls next.
func (s *Session) Middleware(next http.RoundTripper) http.RoundTripper {
	return newLayer(next, s.roundTrip)
}

func (s *Session) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	switch {
	case s.recording != nil:
		return s.recording.roundTrip(next, r)
	case s.player == nil:
		return next.RoundTrip(r)
	}
	resp, err := s.player.RoundTrip(r)
	var unmatched *UnmatchedError
	if errors.As(err, &unmatched) && !s.ended.Load() { // a test that has ended can no longer fail
		s.t.Errorf("%s: %v", s.path, err)
	}
	return resp, err
}

// save writes what was recorded.
func (s *Session) save() {
	if s.t.Failed() {
		s.t.Logf("tape: %s is not written, because the test has failed", s.path)
		return
	}
	hidden := redaction{redactor: s.o.Redactor, scrub: s.o.Scrub, shown: s.o.ShowMembers}
	recorded, e := s.recording.tape()
	if e != nil {
		s.t.Errorf("tape: %s is not written: a body of %s %s has more than %d bytes; see Options.MaxBodyBytes", s.path, e.Request.Method, hidden.url("", e.Request.URL), s.recording.limit)
		return
	}
	switch ok, err := recordings.save(s.path, hidden.tape(recorded)); {
	case !ok:
		s.t.Errorf("tape: %s is not written, because another test has recorded it with other requests: give each test a tape of its own", s.path)
	case err != nil:
		s.t.Error(err)
	}
}

// recordings are the tapes that this process has written. Tests that record the same file with other requests would replace each other's.
var recordings written

// written knows the requests of tapes by the paths of their files.
type written struct {
	mu    sync.Mutex
	tapes map[string]writtenTape
}

type writtenTape struct {
	requests [sha256.Size]byte
	writing  bool // Save has not returned
}

// save writes a tape. It reports false if one with other requests has been written there, and has not been removed since.
func (w *written) save(path string, t *Tape) (ok bool, err error) {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	requests := t.requests()
	_, err = os.Stat(path)
	w.mu.Lock()
	before, known := w.tapes[path]
	if ok = !known || before.requests == requests || err != nil && !before.writing; ok {
		if w.tapes == nil {
			w.tapes = map[string]writtenTape{}
		}
		w.tapes[path] = writtenTape{requests, true}
	}
	w.mu.Unlock()
	if !ok {
		return false, nil
	}
	err = t.Save(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tapes[path] = writtenTape{requests, false}
	return true, err
}

// requests returns a hash of the requests of a tape, in any order.
func (t *Tape) requests() [sha256.Size]byte {
	var all []string
	for _, e := range t.Exchanges {
		all = append(all, fmt.Sprintf("%q %q %q %x", e.Request.Method, e.Request.URL, e.Request.Host, sha256.Sum256(e.Request.Body)))
	}
	slices.Sort(all)
	return sha256.Sum256([]byte(strings.Join(all, "\n")))
}
