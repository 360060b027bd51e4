package redis

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/plyhttp/ply/store"
)

// manyReply reads records with MGET: one command, whose reply is taken as it comes, where a pipeline of GETRANGE makes five objects for each record.
// MGET has no bound for a value. It is for connections that have one of their own, see limitedConn, and for one server, since the slots of a cluster
// may be on several. Whatever is not a list of values, such as an error, is for the pipeline to say.
type manyReply struct {
	store *Store
	keys  []string

	// Room for those of a lookup.
	names   [4]string
	args    [5]any
	records [4]store.Record
}

// errReply is a reply that is not a list of as many values as were asked for.
var errReply = errors.New("redis: the reply is not a list of values")

func (m *manyReply) read(ctx context.Context) ([]byte, error) {
	names, err := m.store.names(m.names[:0], m.keys)
	if err != nil {
		return nil, err
	}
	args := append(m.args[:0], "mget")
	for i := range names {
		args = append(args, &names[i]) // a pointer is no allocation
	}
	cmd := goredis.NewRawCmd(ctx, args...)
	if err := m.store.client.Process(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Bytes()
}

// append appends the records in a reply. Their data are parts of it.
func (m *manyReply) append(records []store.Record, reply []byte) ([]store.Record, error) {
	kind, n, reply, ok := replyLine(reply)
	if !ok || kind != '*' || n != len(m.keys) {
		return nil, errReply
	}
	now := time.Now()
	for _, key := range m.keys {
		kind, n, rest, ok := replyLine(reply)
		switch {
		case ok && n == -1:
			reply, records = rest, append(records, store.Record{})
			continue
		case !ok || kind != '$' || n < 0 || n > len(rest)-2:
			return nil, errReply
		}
		r, err := m.store.record(key, rest[:n:n], now)
		if err != nil {
			return nil, err
		}
		reply, records = rest[n+2:], append(records, r)
	}
	if len(reply) > 0 {
		return nil, errReply
	}
	return records, nil
}

// replyLine returns the type and the number in the first line of a reply, and what follows. A null has -1.
func replyLine(reply []byte) (kind byte, n int, rest []byte, ok bool) {
	line, rest, ok := bytes.Cut(reply, []byte("\r\n"))
	if !ok || len(line) == 0 {
		return 0, 0, nil, false
	}
	if kind = line[0]; kind == '_' {
		return kind, -1, rest, true
	}
	n, err := strconv.Atoi(string(line[1:]))
	return kind, n, rest, err == nil && n >= -1
}
