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
//
// Its fields are read's while read runs, which may be longer than the caller waits: after an error of the call it is not used again.
type manyReply struct {
	store   *Store
	names   []string       // in Redis, of the records to read
	records []store.Record // that have been read

	// Room for those of a lookup.
	someNames   [4]string
	someArgs    [5]any
	someRecords [4]store.Record
}

// errReply is a reply that is not a list of as many values as were asked for.
var errReply = errors.New("redis: the reply is not a list of values")

// read appends the records under m's names to m's records. A pipeline runs within the same call, so that both together take no longer than one may.
func (m *manyReply) read(ctx context.Context) ([]store.Record, error) {
	if m.store.single {
		records, err := m.mget(ctx)
		if err == nil {
			m.records = records
			return records, nil
		}
		if !isRefusal(err) {
			return nil, err
		}
	}
	values, err := m.store.pipeline(ctx, m.names, m.store.lastByte())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i, value := range values {
		r, err := m.store.record(m.key(i), value, now)
		if err != nil {
			return nil, err
		}
		m.records = append(m.records, r)
	}
	return m.records, nil
}

// isRefusal reports whether an MGET that failed with err leaves something to ask a pipeline for. What got no reply, such as from a server that hangs, does not.
func isRefusal(err error) bool {
	var bound boundError
	return isReply(err) || errors.Is(err, errReply) || errors.As(err, &bound)
}

// key returns the key whose name is m.names[i]. It is part of the name: the keys of a lookup are their caller's.
func (m *manyReply) key(i int) string { return m.names[i][len(m.store.prefix):] }

// mget returns m's records, and behind them those that an MGET returns.
func (m *manyReply) mget(ctx context.Context) ([]store.Record, error) {
	args := append(m.someArgs[:0], "mget")
	for i := range m.names {
		args = append(args, &m.names[i]) // a pointer is no allocation
	}
	cmd := goredis.NewRawCmd(ctx, args...)
	if err := m.store.client.Process(ctx, cmd); err != nil {
		return nil, err
	}
	reply, err := cmd.Bytes()
	if err != nil {
		return nil, err
	}
	return m.append(m.records, reply)
}

// append appends the records in a reply. Their data are parts of it.
func (m *manyReply) append(records []store.Record, reply []byte) ([]store.Record, error) {
	kind, n, reply, ok := replyLine(reply)
	if !ok || kind != '*' || n != len(m.names) {
		return nil, errReply
	}
	now := time.Now()
	for i := range m.names {
		kind, n, rest, ok := replyLine(reply)
		switch {
		case ok && n == -1:
			reply, records = rest, append(records, store.Record{})
			continue
		case !ok || kind != '$' || n < 0 || n > len(rest)-2:
			return nil, errReply
		}
		r, err := m.store.record(m.key(i), rest[:n:n], now)
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
