//go:build unix

package mongodb_test

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/mongodb"
)

// dropper dials connections on which one command gets no reply.
type dropper struct {
	command string
	dropped atomic.Int64
}

func (d *dropper) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &dropping{conn, d}, nil
}

type dropping struct {
	net.Conn
	*dropper
}

func (c *dropping) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(c.command)) {
		c.dropped.Add(1)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func TestNoPutWaitsForAMeasurement(t *testing.T) {
	d := &dropper{command: "aggregate"}
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + startServer(t).Addr).SetDialer(d))
	require.NoError(t, err)
	defer client.Disconnect(t.Context())
	s, err := mongodb.New(client.Database("ply").Collection("cache"), mongodb.Options{Timeout: 20 * time.Second})
	require.NoError(t, err)
	defer s.Close()
	testutil.Eventually(t, "a measurement to begin", func() bool { return d.dropped.Load() > 0 })
	require.NotEmpty(t, put(t, s, "k", store.Record{Data: []byte("x")}).Version)
}

// A store that begins knows nothing of what is there: it measures, and makes room without a Put.
func TestAFullCollectionIsMadeSmallerWhenAStoreBegins(t *testing.T) {
	const most = 1 << 20
	addr := startServer(t).Addr
	large := open(t, addr, mongodb.Options{})
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		put(t, large, key, store.Record{Data: make([]byte, most/4)})
	}
	small := open(t, addr, mongodb.Options{MaxBytes: most})
	testutil.Eventually(t, "the bound to hold", func() bool {
		records, bytes, err := small.Size(t.Context())
		return err == nil && bytes <= most && records > 0
	})
	require.Equal(t, "", get(t, large, "a").Version)
	require.NotEmpty(t, get(t, large, "f").Version)
}

// A call whose context has all the time takes no longer than Options.Timeout.
func TestSizeEndsWithTheTimeout(t *testing.T) {
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + startServer(t).Addr).SetDialer(&dropper{command: "aggregate"}))
	require.NoError(t, err)
	defer client.Disconnect(t.Context())
	s, err := mongodb.New(client.Database("ply").Collection("cache"), mongodb.Options{Timeout: 200 * time.Millisecond})
	require.NoError(t, err)
	defer s.Close()
	ended := make(chan error, 1)
	go func() {
		_, _, err := s.Size(context.Background())
		ended <- err
	}()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.DeadlineExceeded)
	case <-time.After(20 * time.Second):
		t.Error("Size waits for a server that does not answer")
	}
}

// Options.Timeout bounds each step of a Clear, however much is there.
func TestClearDeletesInSteps(t *testing.T) {
	var deletions atomic.Int64
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + startServer(t).Addr).SetMonitor(&event.CommandMonitor{
		Started: func(_ context.Context, e *event.CommandStartedEvent) {
			if e.CommandName == "delete" {
				deletions.Add(1)
			}
		},
	}))
	require.NoError(t, err)
	defer client.Disconnect(t.Context())
	c := client.Database("ply").Collection("cache")
	s, err := mongodb.New(c, mongodb.Options{Timeout: 20 * time.Second})
	require.NoError(t, err)
	defer s.Close()
	docs := make([]bson.D, 1200)
	for i := range docs {
		docs[i] = bson.D{{Key: "_id", Value: strconv.Itoa(i)}}
	}
	_, err = c.InsertMany(t.Context(), docs)
	require.NoError(t, err)
	put(t, s, "k", store.Record{Data: []byte("x")})
	require.NoError(t, s.Clear(t.Context()))
	if n := deletions.Load(); n < 3 {
		t.Errorf("%d commands delete 1201 documents", n)
	}
	records, _, err := s.Size(t.Context())
	require.NoError(t, err)
	require.Zero(t, records)
}
