package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/plyhttp/ply/internal/timelimit"
	"github.com/plyhttp/ply/store"
)

// scripted stands in the place of the connections of a client: mget does what the server does with an MGET, and pipeline what it does with a pipeline,
// which finds nothing there if it is nil.
type scripted struct {
	mget             func(context.Context, *goredis.RawCmd) error
	pipeline         func(context.Context) error
	mgets, pipelines atomic.Int32
}

func (s *scripted) DialHook(goredis.DialHook) goredis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("a connection is made")
	}
}

func (s *scripted) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		s.mgets.Add(1)
		raw := cmd.(*goredis.RawCmd)
		err := s.mget(ctx, raw)
		raw.SetErr(err)
		return err
	}
}

func (s *scripted) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, _ []goredis.Cmder) error {
		if s.pipelines.Add(1); s.pipeline == nil {
			return nil
		}
		return s.pipeline(ctx)
	}
}

// newScriptedStore returns a store like one of Open's for one server.
func newScriptedStore(t *testing.T, s *scripted) *Store {
	t.Helper()
	o, err := Options{}.checked()
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaintNotificationsConfig: quiet()})
	client.AddHook(s)
	t.Cleanup(func() { client.Close() })
	return newStore(client, true, o)
}

// The keys belong to the caller again when GetMulti has returned, though the client may still be at work.
func TestCallerMayOverwriteKeysAfterGetMulti(t *testing.T) {
	server := &scripted{mget: func(_ context.Context, cmd *goredis.RawCmd) error {
		for _, arg := range cmd.Args()[1:] {
			if name := *arg.(*string); !strings.HasPrefix(name, "ply:mine") {
				t.Errorf("the server is asked for %q", name)
			}
		}
		return syscall.ECONNREFUSED
	}}
	s := newScriptedStore(t, server)
	keys := make([]string, pipelined+1)
	for range 500 {
		for i := range keys {
			keys[i] = "mine"
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for range rand.IntN(8) {
				runtime.Gosched()
			}
			cancel()
		}()
		s.GetMulti(ctx, keys)
		for i := range keys {
			keys[i] = "another"
		}
	}
	for range s.opt.Connections { // the goroutines that are left end
		s.slots <- struct{}{}
	}
}

// serverError is an error that a server sent.
type serverError string

func (e serverError) Error() string { return string(e) }
func (serverError) RedisError()     {}

// A pipeline follows an MGET that the server refuses, or whose reply is out of bounds. One that gets no reply has failed: another try would take as long again.
func TestPipelineFollowsRefusedMGETOnly(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return &net.OpError{Op: "read", Err: ctx.Err()} }
	fails := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	_, bound := (&limitedConn{limit: 1, Conn: replies("$2\r\n")}).Read(make([]byte, 10))
	for name, test := range map[string]struct {
		mget      func(context.Context) error
		err       error
		pipelines int32
		takes     time.Duration
	}{
		"a user without the right":        {mget: fails(serverError("NOPERM no permissions to run the 'mget' command")), pipelines: 1},
		"a server of a cluster":           {mget: fails(serverError("CROSSSLOT Keys in request don't hash to the same slot")), pipelines: 1},
		"a reply that is out of bounds":   {mget: fails(bound), pipelines: 1},
		"a reply that is no list":         {mget: fails(nil), pipelines: 1},
		"a server that hangs":             {mget: hang, err: context.DeadlineExceeded, takes: time.Second},
		"a connection that is refused":    {mget: fails(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), err: syscall.ECONNREFUSED},
		"a connection that is reset":      {mget: fails(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), err: syscall.ECONNRESET},
		"a slow refusal, then a pipeline": {mget: func(context.Context) error { time.Sleep(900 * time.Millisecond); return serverError("NOPERM") }, pipelines: 1, takes: 900 * time.Millisecond},
	} {
		for _, guarded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, guarded %v", name, guarded), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &scripted{mget: func(ctx context.Context, _ *goredis.RawCmd) error { return test.mget(ctx) }}
					s := newScriptedStore(t, server)
					ctx := t.Context()
					if guarded {
						limited := timelimit.Guarded(ctx, time.Minute, context.DeadlineExceeded)
						defer limited.End()
						ctx = limited
					}
					begun := time.Now()
					records, err := s.GetMulti(ctx, []string{"a", "b"})
					if takes := time.Since(begun); !errors.Is(err, test.err) || takes != test.takes {
						t.Errorf("%v after %v, want %v after %v", err, takes, test.err, test.takes)
					}
					if err == nil && len(records) != 2 {
						t.Errorf("%v", records)
					}
					if n, m := server.mgets.Load(), server.pipelines.Load(); n != 1 || m != test.pipelines {
						t.Errorf("%d MGETs and %d pipelines, want 1 and %d", n, m, test.pipelines)
					}
				})
			})
		}
	}
}

// A pipeline has what its MGET has left of Options.Timeout.
func TestMGETAndItsPipelineShareATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &scripted{mget: func(context.Context, *goredis.RawCmd) error {
			time.Sleep(900 * time.Millisecond)
			return serverError("NOPERM")
		}}
		server.pipeline = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		s := newScriptedStore(t, server)
		begun := time.Now()
		_, err := s.GetMulti(t.Context(), []string{"a", "b"})
		if takes := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || takes != time.Second {
			t.Errorf("%v after %v", err, takes)
		}
	})
}

// Records of a lookup in several goes are those of its keys, in their order.
func TestRecordsOfLookupInSeveralGoes(t *testing.T) {
	server := &scripted{mget: func(_ context.Context, cmd *goredis.RawCmd) error {
		reply := []byte("*" + strconv.Itoa(len(cmd.Args())-1) + "\r\n")
		for _, arg := range cmd.Args()[1:] {
			key := strings.TrimPrefix(*arg.(*string), "ply:")
			value := encode(key, "0123456789abcdef", store.Record{Data: []byte("of " + key), Kind: store.KindEntry})
			reply = append(reply, "$"+strconv.Itoa(len(value))+"\r\n"+string(value)+"\r\n"...)
		}
		cmd.SetVal(reply)
		return nil
	}}
	s := newScriptedStore(t, server)
	var keys []string
	for i := range 2*pipelined + 3 {
		keys = append(keys, "k"+strconv.Itoa(i))
	}
	records, err := s.GetMulti(t.Context(), keys)
	if err != nil || len(records) != len(keys) || server.mgets.Load() != 3 {
		t.Fatalf("%d records in %d goes, %v", len(records), server.mgets.Load(), err)
	}
	for i, r := range records {
		if string(r.Data) != "of "+keys[i] {
			t.Errorf("%q under %q", r.Data, keys[i])
		}
	}
}

// replies is a connection that reads one reply.
func replies(reply string) net.Conn {
	client, server := net.Pipe()
	go func() { server.Write([]byte(reply)) }()
	return client
}
