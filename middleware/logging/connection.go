package logging

import (
	"log/slog"
	"net"
	"net/http/httptrace"
	"strconv"
	"sync"
)

// connection describes the last connection that served a request.
type connection struct {
	mu   sync.Mutex // guards info: the hook runs on a goroutine of the transport's
	info httptrace.GotConnInfo
}

func (c *connection) got(info httptrace.GotConnInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.info = info
}

// append appends the attributes of the connection, or nothing if there was none.
func (c *connection) append(a []slog.Attr) []slog.Attr {
	if c == nil {
		return a
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.info.Conn == nil || c.info.Conn.RemoteAddr() == nil {
		return a
	}
	remote := c.info.Conn.RemoteAddr().String()
	if host, port, err := net.SplitHostPort(remote); err == nil {
		a = append(a, slog.String("network.peer.address", host))
		if n, err := strconv.Atoi(port); err == nil {
			a = append(a, slog.Int("network.peer.port", n))
		}
	} else {
		a = append(a, slog.String("network.peer.address", remote))
	}
	return append(a, slog.Bool("conn.reused", c.info.Reused))
}
