//go:build unix

package mongodb_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
